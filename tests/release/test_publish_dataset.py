"""What is published of corpora, dialogues and preferences: `load_dataset` reads it, and its card says what was done."""

import json
import shutil
from pathlib import Path

import datasets
import pytest
import yaml
import zstandard

from nec13b.corpus.blocks import ALWAYS, IF_ANY
from nec13b.errors import InputError
from nec13b.release.dataset_card import size_category
from nec13b.release.dataset_config import PublishDatasetConfig
from nec13b.release.dataset_files import COLUMNS, CORPUS
from nec13b.release.dataset_publishing import publish_dataset

OF_REJECTED = {"reason", "detail", "spans", "items"}


@pytest.fixture(scope="module")
def corpus(complete, sample, tmp_path_factory) -> Path:
    """A cleaned corpus of two sources, one with a licence and a mail address in every text; half is held out."""
    folder = tmp_path_factory.mktemp("corpus")
    for label, domain, more in (("books", "ja", "連絡先は someone@some-host.jp です。"), ("code", "code", "")):
        rows = [{"text": document.text[:5000] + more, "lang": domain}
                for document in sample if document.domain == domain][:12]  # fmt: skip
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in (*rows, rows[0]))
        (folder / f"{label}.jsonl").write_text(lines, encoding="utf-8")
    entries = [f"{folder / 'books.jsonl'},licence=CC-BY-4.0", f"{folder / 'code.jsonl'},domain=code"]
    flags = ["--held_out_fraction", "0.5", "--near_duplicates", "false", "--repeated_line_documents", "0"]
    complete("recipes/clean_corpus.py", "--corpus", *entries, "--output_dir", folder / "clean", *flags)
    return folder / "clean"


@pytest.fixture(scope="module")
def dialogues(complete, tmp_path_factory) -> Path:
    """The sample, prepared."""
    folder = tmp_path_factory.mktemp("dialogues")
    complete("recipes/prepare_dialogues.py", "--output_dir", folder / "made", "--held_out_fraction", "0.3")
    return folder / "made"


@pytest.fixture(scope="module")
def preferences(complete, tmp_path_factory) -> Path:
    """The sample, prepared, with a provenance in every row that names a person."""
    folder = tmp_path_factory.mktemp("preferences")
    complete("recipes/prepare_preferences.py", "--output_dir", folder / "made", "--held_out_fraction", "0.3")
    for name in ("train", "held_out"):
        path = folder / "made" / f"{name}.jsonl"
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        rows = [row | {"provenance": {"edited_by": "山田", "seed": 3}} for row in rows]
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return folder / "made"


def published(source: Path, tmp_path: Path, **settings) -> Path:
    """The folder of a data set."""
    publish_dataset(PublishDatasetConfig(str(source), str(tmp_path / "out"), **settings))
    return tmp_path / "out" / "hub"


def loaded(folder: Path, tmp_path: Path) -> datasets.DatasetDict:
    """As `load_dataset` reads it, without what it has read before."""
    return datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))


def card_of(folder: Path) -> tuple[dict, str]:
    """The card's metadata, and its text."""
    head, _, body = (folder / "README.md").read_text(encoding="utf-8").removeprefix("---\n").partition("\n---\n")
    return yaml.safe_load(head), body


def rows_of_corpus(folder: Path) -> list[dict]:
    """The rows of a cleaned corpus's training part."""
    return [
        json.loads(line)
        for path in sorted(folder.glob("documents/train/*/*.jsonl.zst"))
        for line in zstandard.decompress(path.read_bytes(), max_output_size=1 << 27).decode().splitlines()
    ]


def test_a_corpus_is_read_as_it_was_cleaned(corpus, tmp_path):
    found = loaded(published(corpus, tmp_path), tmp_path)
    written = {row["id"]: row for row in rows_of_corpus(corpus)}
    assert set(found) == {"train", "held_out"}
    assert {row["id"]: row["text"] for row in found["train"]} == {name: row["text"] for name, row in written.items()}
    masked = [row for row in found["train"] if row["source"] == "books"]
    assert masked
    assert all(row["masked"]["mail"] == 1 and "[EMAIL]" in row["text"] for row in masked)
    assert {row["licence"] for row in masked} == {"CC-BY-4.0"}
    streamed = datasets.load_dataset(str(tmp_path / "out" / "hub"), split="held_out", streaming=True)
    assert len(list(streamed)) == len(found["held_out"])


def test_the_card_of_a_corpus_says_what_was_done(corpus, tmp_path):
    folder = published(corpus, tmp_path, title="試し", licence="cc-by-4.0")
    metadata, body = card_of(folder)
    assert metadata["license"] == "cc-by-4.0"
    assert metadata["language"] == ["ja", "en"]
    assert metadata["size_categories"] == ["n<1K"]
    report = json.loads((corpus / "report.json").read_text())
    kept = sum(part["documents"] for part in report["kept"]["parts"] if part["source"] == "books")
    dropped = next(row for row in report["funnel"] if row["step"] == "exact_duplicates")
    assert dropped["documents"] >= 1
    for line in (
        "# 試し", f"| books | local files | CC-BY-4.0 | 13 | {kept} |",
        f"| exact_duplicates | the same text as an earlier document | {dropped['documents']} | {dropped['left']} |",
        f"{report['changed']['masked_mail']['count']} of mail", "| quality | not asked for | 0 |", "## Mixture",
        "Names of persons",
    ):  # fmt: skip
        assert line in body, line


def test_cards_hold_no_path_of_this_machine(corpus, dialogues, preferences, tmp_path):
    for source in (corpus, dialogues, preferences):
        folder = published(source, tmp_path / source.parent.name)
        card = (folder / "README.md").read_text(encoding="utf-8")
        for path in (tmp_path, source.parent, Path.home(), Path(datasets.__file__).parents[1]):
            assert str(path) not in card


def test_columns_are_those_that_a_cleaning_may_write():
    names = [column["name"] for column in COLUMNS[CORPUS]]
    assert sorted(names) == sorted({"id", "text", *ALWAYS, *IF_ANY} - OF_REJECTED)


def test_dialogues_are_read_as_they_were_prepared(dialogues, tmp_path):
    folder = published(dialogues, tmp_path)
    found = loaded(folder, tmp_path)
    rows = [json.loads(line) for line in (dialogues / "train.jsonl").read_text("utf-8").splitlines()]
    assert found["train"]["messages"][:] == [row["messages"] for row in rows]
    metadata, body = card_of(folder)
    assert [split["split"] for split in metadata["configs"][0]["data_files"]] == ["train", "held_out"]
    assert f"{len(rows):,} in `train`" in body
    assert "the sample of nec13b" in body
    assert "## Checks" in body


def test_preferences_are_published_without_who_decided(preferences, tmp_path):
    folder = published(preferences, tmp_path)
    assert "山田" not in (folder / "train.jsonl").read_text(encoding="utf-8")
    found = loaded(folder, tmp_path)
    rows = [json.loads(line) for line in (preferences / "train.jsonl").read_text("utf-8").splitlines()]
    for name in ("prompt", "chosen", "rejected"):
        assert found["train"][name][:] == [row[name] for row in rows]
    assert "Length bias: choosing the longer answer" in card_of(folder)[1]
    folder = published(preferences, tmp_path, provenance=True, overwrite_output_dir=True)
    shutil.rmtree(tmp_path / "cache")
    assert loaded(folder, tmp_path)["train"][0]["provenance"] == {"edited_by": "山田", "seed": 3}


@pytest.mark.parametrize("name", ["corpus", "preferences"])
def test_a_dry_run_lists_what_would_be_written_and_writes_nothing(name, request, tmp_path, capsys):
    source = request.getfixturevalue(name)
    capsys.readouterr()
    settings = {"push_to": str(tmp_path / "hub")}
    publish_dataset(PublishDatasetConfig(str(source), str(tmp_path / "out"), dry_run=True, **settings))
    forecast = sorted(line for line in capsys.readouterr().out.splitlines() if " MiB  " in line and "files" not in line)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "hub").exists()
    folder = published(source, tmp_path, **settings)
    written = sorted(f"{path.stat().st_size / 2**20:>12,.2f} MiB  {path.relative_to(folder)}"
                     for path in folder.rglob("*") if path.is_file())  # fmt: skip
    assert forecast == written
    assert loaded(tmp_path / "hub", tmp_path)["train"].num_rows == loaded(folder, tmp_path / "b")["train"].num_rows


def test_the_same_again_has_nothing_to_do_and_another_is_refused(dialogues, tmp_path, capsys):
    published(dialogues, tmp_path)
    capsys.readouterr()
    published(dialogues, tmp_path)
    assert "holds this data set already" in capsys.readouterr().out
    with pytest.raises(InputError, match="choose another --output_dir"):
        published(dialogues, tmp_path, title="other")


def test_folders_that_are_no_data_set_are_told(dialogues, corpus, tmp_path):
    with pytest.raises(InputError, match=r"holds no run\.json"):
        published(tmp_path, tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(dialogues, broken)
    lines = (broken / "train.jsonl").read_text("utf-8").splitlines(keepends=True)
    (broken / "train.jsonl").write_text("".join(lines[1:]), encoding="utf-8")
    with pytest.raises(InputError, match=rf"holds {len(lines) - 1:,} rows, its report says {len(lines):,}"):
        published(broken, tmp_path)
    assert not (tmp_path / "out" / "hub").exists()
    (broken / "report.json").write_text('{"kept": {"train": 1, "held_out": 1}}')
    with pytest.raises(InputError, match="is of another version"):
        published(broken, tmp_path)
    (broken / "made_from.json").write_text('{"unfinished": true}')
    with pytest.raises(InputError, match="has not ended"):
        published(broken, tmp_path)
    (broken / "run.json").write_text('{"stage": "pretrain"}')
    with pytest.raises(InputError, match="was made by 'pretrain'"):
        published(broken, tmp_path)
    shutil.copytree(corpus, tmp_path / "clean", ignore=shutil.ignore_patterns("documents"))
    with pytest.raises(InputError, match="lacks its documents of train"):
        published(tmp_path / "clean", tmp_path / "other")
    with pytest.raises(InputError, match="push_to must be owner/name"):
        published(dialogues, tmp_path, push_to="nothing")
    with pytest.raises(InputError, match=r"limits: cannot read nowhere\.md"):
        published(dialogues, tmp_path, limits="nowhere.md")


@pytest.mark.parametrize(
    ("rows", "said"),
    [(1, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (2_695, "1K<n<10K"), (10**7, "10M<n<100M"), (10**12, "n>1T")],
)
def test_sizes_are_named_as_the_hub_names_them(rows, said):
    assert size_category(rows) == said
