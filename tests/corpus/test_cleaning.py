"""The whole cleansing: every document is accounted for, and bad input never stops it or passes unnoticed."""

import fcntl
import gzip
import json
import re

import pytest

from nec13b.corpus import parse_sources, read_documents
from nec13b.corpus.blocks import part_file, read_rows
from nec13b.corpus.cleaning import clean_corpus
from nec13b.corpus.cleaning_config import CleanCorpusConfig
from nec13b.corpus.report_page import WORDS
from nec13b.errors import InputError

STORY = (
    "きょうは朝から雨が降っていたので、家でコーヒーを飲みながら本を読んでいた。夕方になって、やっと晴れた。"
    "図書館の時計が止まったのは、去年の秋のことである。司書の山本さんが脚立を持ってきて、文字盤の裏をのぞき込んだ。"
    "小さな歯車が一つ欠けているのを見つけて、町の時計屋に電話をかけた。翌週、新しい歯車が届き、時計はまた動き出した。"
)


def clean(corpus, output, **settings):
    config = CleanCorpusConfig(
        corpus=[str(corpus)] if not isinstance(corpus, list) else list(map(str, corpus)), output_dir=str(output),
        **{"minhash_bands": 8, "held_out_fraction": 0.1, "long_document_characters": 3000, **settings},
    )  # fmt: skip
    return clean_corpus(config)


def rows_of(folder):
    return [row for path in sorted(folder.rglob("*.jsonl.zst")) for row in read_rows(path)]


def notes_of(folder):
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def cleaned(messy_corpus, tmp_path_factory):
    """(report, folder) of the messy corpus, cleaned."""
    folder = tmp_path_factory.mktemp("cleaned") / "out"
    return clean(messy_corpus, folder, repeated_line_documents=5, train_tokens=100_000), folder


def test_every_document_is_kept_or_dropped_with_a_reason(cleaned, messy_corpus):
    report, folder = cleaned
    read = list(read_documents(parse_sources(str(messy_corpus))))
    kept, dropped = rows_of(folder / "documents"), rows_of(folder / "rejected")
    assert sorted(document.id for document in read) == sorted(row["id"] for row in kept + dropped)
    assert len({row["id"] for row in kept + dropped}) == len(read) == report["read"]["documents"]
    assert all(row["reason"] for row in dropped)
    assert all("reason" not in row for row in kept)
    assert report["kept"]["documents"] == len(kept)
    assert report["kept"]["characters"] == sum(len(row["text"]) for row in kept)
    assert report["funnel"][-1]["left"] == len(kept)
    assert sum(row["documents"] for row in report["funnel"]) == len(dropped)


def test_kept_documents_carry_what_is_known_of_them(cleaned):
    _, folder = cleaned
    for row in rows_of(folder / "documents"):
        assert row["source"] == folder.parent.name or row["source"].startswith("messy")
        assert row["domain"] in ("ja", "en", "code")
        assert row["language"] == ("" if row["domain"] == "code" else row["domain"])
        assert row["licence"] in ("Apache-2.0", "PSF-2.0")
        assert row["source_id"].startswith("sample/")
    assert any(row.get("url") for row in rows_of(folder / "documents"))


def test_every_step_has_caught_what_it_is_for(cleaned):
    report, folder = cleaned
    dropped = {row["step"]: row["documents"] for row in report["funnel"]}
    assert dropped["rules"] > 20
    assert dropped["exact_duplicates"] > 10
    assert dropped["near_duplicates"] > 3
    assert report["changed"]["cut_lines"]["count"] > 50
    assert report["changed"]["masked_phone"]["documents"] > 0
    texts = "\n".join(row["text"] for row in rows_of(folder / "documents"))
    assert "当サイトではCookieを使用しています" not in texts
    assert "編集部がお届けしています" not in texts  # a line that only its repetition gives away
    assert "[PHONE]" in texts
    kinds = report["kinds"]
    for kind in ("keyword_stuffing", "minified", "generated", "binary", "truncated_sentences"):
        assert kinds[kind].get("kept", 0) <= 0.1 * sum(kinds[kind].values()), kind
    assert kinds["clean"]["kept"] > 0.8 * sum(kinds["clean"].values())


def test_documents_lie_by_split_and_length(cleaned):
    _, folder = cleaned
    for split in ("train", "held_out"):
        for length in ("short", "long"):
            for row in rows_of(folder / "documents" / split / length):
                assert row["split"] == split
                assert (len(row["text"]) >= 3000) == (length == "long")
    groups = {split: {row["group"] for row in rows_of(folder / "documents" / split) if "group" in row}
              for split in ("train", "held_out")}  # fmt: skip
    assert groups["held_out"]
    assert not groups["train"] & groups["held_out"]


def test_a_cleaned_folder_is_a_corpus_with_its_split_ids_and_labels(cleaned):
    _, folder = cleaned
    documents = list(read_documents(parse_sources(str(folder))))
    kept = {row["id"]: row for row in rows_of(folder / "documents")}
    assert {document.id for document in documents} == set(kept)
    for document in documents:
        row = kept[document.id]
        assert (document.text, document.split, document.source, document.source_id) == (
            row["text"], row["split"], row["source"], row["source_id"],
        )  # fmt: skip


def test_an_unfinished_cleaning_is_no_corpus(cleaned, tmp_path):
    _, folder = cleaned
    (tmp_path / "cleaning.json").write_bytes((folder / "cleaning.json").read_bytes())
    with pytest.raises(InputError, match="holds a cleaning that has not ended"):
        parse_sources(str(tmp_path))


def test_cleaning_cleaned_text_again_changes_next_to_nothing(cleaned, tmp_path):
    _, folder = cleaned
    report = clean(folder, tmp_path / "again", repeated_line_documents=0)
    assert report["kept"]["documents"] >= 0.97 * report["read"]["documents"]


def test_the_page_shows_what_the_numbers_say(cleaned):
    report, folder = cleaned
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f"{report['read']['documents']:,}" in page
    assert "Evaluation items" in page or not report["items"]
    table = {}
    for line in page.split('<table class="reasons">')[1].split("</table>")[0].split("<tr>")[2:]:
        cells = [" ".join(re.sub("<[^>]+>", "", cell).split()) for cell in line.split("<td")[1:]]
        table[cells[0].partition(">")[2]] = int(cells[2].partition(">")[2].replace(",", ""))
    expected = {}
    for step, reasons in report["reasons"].items():
        for reason, by_domain in reasons.items():
            name = WORDS[step] if step == reason else f"{WORDS[step]}: {reason.replace('_', ' ')}"
            expected[name] = sum(by_domain.values())
    assert table == expected
    for url in ("http://", "https://", "<script"):
        assert url not in page.replace("nec13b.invalid", "").split('<h2 id="examples">')[0], url


def test_examples_mark_what_broke_the_rule(cleaned):
    report, _ = cleaned
    marked = [piece for name, examples in report["examples"].items() if name.startswith("rules/")
              for example in examples for piece, is_marked in example["excerpt"] if is_marked]  # fmt: skip
    assert marked
    for name, examples in report["examples"].items():
        assert 1 <= len(examples) <= 3, name
        for example in examples:
            assert sum(len(piece) for piece, _ in example["excerpt"]) <= 610


def test_a_run_that_is_complete_is_not_run_again(messy_corpus, cleaned, monkeypatch):
    _, folder = cleaned
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr("nec13b.corpus.cleaning.run_stages", lambda *_: pytest.fail("it was run again"))
    clean(messy_corpus, folder, repeated_line_documents=5, train_tokens=100_000)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_another_run_is_refused_unless_it_is_to_replace_the_old_one(messy_corpus, tmp_path, write_rows):
    write_rows(tmp_path / "a.jsonl", [{"text": STORY, "domain": "ja"}])
    clean(tmp_path / "a.jsonl", tmp_path / "out")
    with pytest.raises(InputError, match="holds a cleaning with another corpus, languages; choose another"):
        clean(messy_corpus, tmp_path / "out", languages=["ja"])
    report = clean(tmp_path / "a.jsonl", tmp_path / "out", languages=["ja"], overwrite_output_dir=True)
    assert report["kept"]["documents"] == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds files that are not of a cleaning"):
        clean(tmp_path / "a.jsonl", tmp_path / "mine", overwrite_output_dir=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"


# Bad input


def test_bad_input_never_stops_a_run_and_each_case_is_noted(tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    good = [{"id": f"g{i}", "text": f"第{i}話。{STORY}" + "雨" * i} for i in range(3)]
    lines = [
        json.dumps(good[0], ensure_ascii=False).encode(),
        b'{"text": "\xff\xfe not utf-8"}',
        b'{"text": "\\ud83d alone"}',
        b'{"text": "half',
        b'{"body": "no text"}',
        b'{"text": "   "}',
        b'{"text": "' + b"x" * 100_000_000 + b'"}',  # a line of 100 MB
        json.dumps({"id": "nul", "text": "\0".join(STORY)}).encode(),
        json.dumps({"id": "g0", "text": "同じ番号の別の話。" + STORY}, ensure_ascii=False).encode(),
        b'{"id": 12345678901234567890, "text": "' + ("数の番号。" + STORY).encode() + b'", "url": "http://[bad"}',
    ]
    (corpus / "bad.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    (corpus / "empty.jsonl").write_bytes(b"")
    whole = gzip.compress("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in good * 400).encode())
    (corpus / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (corpus / "broken.parquet").write_bytes(b"PAR1 no")
    (corpus / "broken.txt").write_bytes("途中".encode()[:-1])
    (corpus / "empty.warc.gz").write_bytes(b"")
    report = clean(corpus, tmp_path / "out", near_duplicates=False, max_document_characters=1_000_000)

    notes = notes_of(tmp_path / "out" / "unreadable")
    reasons = {(note["source"].split("/")[-1], note["line"]): note["reason"] for note in notes}
    assert reasons[("bad.jsonl", 2)] == "invalid UTF-8"
    assert reasons[("bad.jsonl", 3)] == "lone surrogate (not valid Unicode)"
    assert reasons[("bad.jsonl", 4)] == "broken JSON"
    assert reasons[("bad.jsonl", 5)] == "no text in field 'text'"
    assert reasons[("bad.jsonl", 6)] == "empty text"
    assert reasons[("bad.jsonl", 7)] == "line longer than 12,065,536 bytes"
    assert reasons[("bad.jsonl", 9)] == "duplicate id (the document is kept)"
    assert reasons[("broken.parquet", None)] == "not a readable Parquet file"
    assert reasons[("broken.txt", None)] == "invalid UTF-8"
    assert any(name == "cut.jsonl.gz" and "ends early" in reason for (name, _), reason in reasons.items())
    assert any(name == "empty.warc.gz" for name, _ in reasons)
    assert sum(report["unreadable"].values()) == len(notes)

    kept = rows_of(tmp_path / "out" / "documents")
    texts = [row["text"] for row in kept]
    assert STORY in texts  # its NULs are gone
    assert not any("\0" in text for text in texts)
    assert "同じ番号の別の話。" + STORY in texts
    assert sum(text.startswith("第0話。") for text in texts) == 1  # the copies in the cut file are duplicates
    assert len({row["id"] for row in kept}) == len(kept)


def test_a_corpus_of_which_nothing_is_left_is_reported(tmp_path, write_rows):
    write_rows(
        tmp_path / "a.jsonl", [{"text": "短い。"}, {"text": "这是一本关于中国历史的书，我昨天在图书馆借的。" * 9}]
    )
    report = clean(tmp_path / "a.jsonl", tmp_path / "out")
    assert report["kept"]["documents"] == 0
    assert report["reasons"] == {
        "language": {"language": {"unknown": 1}}, "rules": {"characters": {"ja": 1}},
    }  # fmt: skip
    assert report["languages"] == {"zh": 1}
    assert report["mixture"]["sources"] == []
    assert "No training text of the wanted domains is left" in (tmp_path / "out" / "report.html").read_text()


def test_languages_and_domains(tmp_path, write_rows):
    english = (
        "The library clock stopped on a rainy day at the end of spring, and nobody noticed that it had. The librarian "
        "fetched a ladder, looked behind the dial and found that one of the small wheels had lost a tooth to the years."
    )
    german = (
        "Die Uhr der Bibliothek blieb an einem regnerischen Tag stehen, und niemand hat es bemerkt. Die Bibliothekarin "
        "holte eine Leiter, blickte hinter das Zifferblatt und fand ein Rad, dem ein Zahn fehlte."
    )
    rows = [
        {"text": STORY},
        {"text": english},
        {"text": german},
        {"text": english + "x", "domain": "ja"},  # it says so, but is not
        {"text": "号外。" + STORY, "domain": "news"},  # a domain of the user's own
        {"text": german + "x", "domain": "news"},
        {"text": "def f():\n    return 'これはコードである'\n" * 9, "domain": "code"},
    ]
    write_rows(tmp_path / "a.jsonl", rows)
    clean(tmp_path / "a.jsonl", tmp_path / "out", near_duplicates=False)
    kept = [(row["domain"], row["language"]) for row in rows_of(tmp_path / "out" / "documents")]
    assert sorted(kept) == [("code", ""), ("en", "en"), ("ja", "ja"), ("news", "ja")]
    details = [row["detail"] for row in rows_of(tmp_path / "out" / "rejected" / "language")]
    assert len(details) == 3
    assert any(detail.startswith("en (probability") and detail.endswith("not ja") for detail in details)


def test_evaluation_items_are_kept_out(tmp_path, write_rows):
    question = "図書館の時計が止まったのは、春の終わりの何の日のことだったでしょうか。"
    write_rows(tmp_path / "set.jsonl", [{"id": "q1", "question": question}])
    write_rows(tmp_path / "a.jsonl", [{"text": STORY}, {"text": STORY + question + "答えは雨。"}])
    report = clean(tmp_path / "a.jsonl", tmp_path / "out", decontaminate=[str(tmp_path / "set.jsonl")],
                   near_duplicates=False)  # fmt: skip
    assert report["items"] == {"set:q1": 1}
    assert [row["items"] for row in rows_of(tmp_path / "out" / "rejected" / "decontamination")] == [["set:q1"]]
    assert report["kept"]["documents"] == 1


def test_users_word_lists_and_rules(tmp_path, write_rows):
    (tmp_path / "words.txt").write_text("コーヒー\n")
    (tmp_path / "rules.yaml").write_text("ja:\n  drinks_word_share: {max: 0.01}\n")
    write_rows(tmp_path / "a.jsonl", [{"text": STORY}, {"text": STORY.replace("コーヒー", "お茶")}])
    report = clean(tmp_path / "a.jsonl", tmp_path / "out", rules=str(tmp_path / "rules.yaml"),
                   word_lists={"drinks": str(tmp_path / "words.txt")}, near_duplicates=False)  # fmt: skip
    assert report["reasons"] == {"rules": {"drinks_word_share": {"ja": 1}}}
    (example,) = report["examples"]["rules/drinks_word_share"]
    assert ["コーヒー", True] in example["excerpt"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"quality": "nowhere"}, "quality.json does not exist; recipes/train_quality_classifier.py makes it"),
        ({"rules": "nowhere.yaml"}, "cannot read the rules"),
        ({"word_lists": {"adult": "nowhere.txt"}}, "cannot read the word list nowhere.txt"),
        ({"decontaminate": ["nowhere.json"]}, "cannot read evaluation items from nowhere.json"),
        ({"source_weights": "wiki=2"}, "source_weights names 'wiki', but the sources are sample"),
        ({"tokenizer": "nowhere/at/all"}, "cannot load tokenizer"),
        ({"executor": "spark"}, "executor must be one of local, slurm, ray"),
        ({"executor": "slurm"}, "slurm needs partition"),
        ({"executor_options": '{"partition": "x"}'}, "local has no option 'partition'"),
        ({"workers": -1}, "workers must be at least 0"),
        ({"proportions": "ja:1"}, "proportions must look like"),
        ({"proportions": "ja=-1"}, "the share of ja must be above 0"),
        ({"near_similarity": 0}, "near_similarity must lie above 0"),
        ({"min_language_probability": 2}, "min_language_probability must lie between 0 and 1"),
        ({"repeated_line_documents": 1}, "repeated_line_documents must be 0, or at least 2"),
        ({"max_epochs": 0}, "max_epochs must be above 0"),
    ],
)
def test_bad_settings_are_found_before_any_work(tmp_path, settings, said):
    with pytest.raises(InputError, match=said):
        clean("sample", tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_a_parquet_file_without_text_is_found_before_any_work(tmp_path):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"body": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"no column 'text' \(it has body\)"):
        clean(tmp_path / "a.parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tokens_are_counted_by_a_tokenizer_where_there_is_one(tmp_path, tokenizer, write_rows):
    write_rows(tmp_path / "a.jsonl", [{"text": STORY}])
    report = clean(tmp_path / "a.jsonl", tmp_path / "out", tokenizer=tokenizer.path)
    assert report["kept"]["tokens"] == len(tokenizer.tokenizer(STORY, add_special_tokens=False)["input_ids"])


def test_part_files_have_the_names_of_the_parts():
    assert part_file("x", 7).as_posix() == "x/00007.jsonl.zst"


def test_a_category_of_the_users_without_a_rule_gets_one(tmp_path, write_rows):
    (tmp_path / "words.txt").write_text("時計\n図書館\n歯車\n", encoding="utf-8")
    write_rows(tmp_path / "a.jsonl", [{"text": STORY}, {"text": re.sub("時計|図書館|歯車", "本", STORY)}])
    report = clean(tmp_path / "a.jsonl", tmp_path / "out", word_lists={"clocks": str(tmp_path / "words.txt")},
                   near_duplicates=False)  # fmt: skip
    assert report["reasons"] == {"rules": {"clocks_word_share": {"ja": 1}}}


def test_without_the_projects_word_lists_its_rules_for_them_are_gone(tmp_path, write_rows):
    advertisement = STORY + "送料無料。今すぐクリック。激安通販。" * 3
    write_rows(tmp_path / "a.jsonl", [{"text": advertisement}])
    assert clean(tmp_path / "a.jsonl", tmp_path / "with")["kept"]["documents"] == 0
    assert clean(tmp_path / "a.jsonl", tmp_path / "without", own_word_lists=False)["kept"]["documents"] == 1


def test_reports_hold_no_personal_data(tmp_path, write_rows):
    secret = "連絡は taro.yamada@yamada-ke.ne.jp か 03-1234-5678 まで。"
    write_rows(tmp_path / "a.jsonl", [{"text": STORY + secret}, {"text": secret, "domain": "ja"}])
    report = clean(tmp_path / "a.jsonl", tmp_path / "out", near_duplicates=False)
    assert report["read"]["documents"] - report["kept"]["documents"] == 1
    for name in ("report.json", "report.html"):
        content = (tmp_path / "out" / name).read_text()
        assert "taro.yamada" not in content
        assert "1234-5678" not in content
    (dropped,) = rows_of(tmp_path / "out" / "rejected")
    assert dropped["text"] == secret  # what is set aside is whole, so that it can be taken back


def test_domains_and_kinds_of_the_users_do_not_upset_the_counters(tmp_path, write_rows):
    rows = [{"text": f"{i}。{STORY}", "kind": "web/blog", "licence": "CC/BY", "domain": "news-1"} for i in range(2)]
    write_rows(tmp_path / "a.jsonl", rows)
    report = clean(tmp_path / "a.jsonl", tmp_path / "out", near_duplicates=False)
    assert report["kinds"] == {"web blog": {"kept": 2}}
    assert report["licences"] == {"CC BY": 2}
    assert {row["domain"] for row in report["kept"]["parts"]} == {"news-1"}


def test_duplicates_name_the_document_that_stays(tmp_path, write_rows):
    write_rows(tmp_path / "a.jsonl", [{"text": STORY}, {"text": STORY + "\n"}, {"text": STORY.replace("雨", "雪")}])
    clean(tmp_path / "a.jsonl", tmp_path / "out")
    details = {row["id"]: (row["reason"], row["detail"]) for row in rows_of(tmp_path / "out" / "rejected")}
    assert details == {
        "a:2": ("exact_duplicates", "duplicate of a:1"),
        "a:3": ("near_duplicates", "duplicate of a:1"),
    }


def test_another_mixture_needs_no_other_cleaning(tmp_path, write_rows, monkeypatch):
    write_rows(tmp_path / "a.jsonl", [{"text": STORY}])
    out = tmp_path / "out"
    first = clean(tmp_path / "a.jsonl", out, train_tokens=100)
    before = {path: path.read_bytes() for path in (out / "documents").rglob("*.zst")}
    monkeypatch.setattr("nec13b.corpus.cleaning.run_stages", lambda *_: pytest.fail("it was run again"))
    second = clean(tmp_path / "a.jsonl", out, train_tokens=50, max_epochs=2)
    assert second["mixture"] != first["mixture"]
    assert json.loads((out / "mixture.json").read_text()) == second["mixture"]
    assert json.loads((out / "report.json").read_text()) == second
    assert {path: path.read_bytes() for path in (out / "documents").rglob("*.zst")} == before


def test_a_run_that_was_killed_before_it_began_leaves_no_obstacle(tmp_path, write_rows):
    write_rows(tmp_path / "a.jsonl", [{"text": STORY}])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".cleaning.json.123.tmp").write_text("{")
    assert clean(tmp_path / "a.jsonl", tmp_path / "out")["kept"]["documents"] == 1


def test_two_runs_do_not_share_a_folder(tmp_path, write_rows, monkeypatch):
    write_rows(tmp_path / "a.jsonl", [{"text": STORY}])
    monkeypatch.setattr("nec13b.run_record.SECONDS_FOR_OLD_WORKERS", 0)
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another run is at work in"):
            clean(tmp_path / "a.jsonl", tmp_path / "out")
    assert clean(tmp_path / "a.jsonl", tmp_path / "out")["kept"]["documents"] == 1


def test_a_replacement_that_was_interrupted_is_gone_on_with(tmp_path, write_rows, monkeypatch):
    write_rows(tmp_path / "a.jsonl", [{"text": STORY}, {"text": STORY}])
    out = tmp_path / "out"
    clean(tmp_path / "a.jsonl", out, max_epochs=2)
    settings = {"long_document_characters": 50, "overwrite_output_dir": True}
    with monkeypatch.context() as patch:
        patch.setattr("nec13b.corpus.cleaning.run_stages", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            clean(tmp_path / "a.jsonl", out, **settings)
    assert not (out / "mixture.json").exists()
    assert not (out / "documents").exists()
    report = clean(tmp_path / "a.jsonl", out, **settings)
    assert [row["length"] for row in report["kept"]["parts"]] == ["long"]
