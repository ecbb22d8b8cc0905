"""Prepared preferences: the same split in memory and in a folder, by prompt, read back as written, and strict."""

import json
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.dialogues.prepared_folder import HELD_OUT_NAME, REJECTED_NAME, TRAIN_NAME
from nec13b.errors import InputError
from nec13b.preferences.preference_settings import CHECKS, PreferenceSettings, PreparePreferencesConfig
from nec13b.preferences.preference_sources import parse_preference_sources
from nec13b.preferences.prepared_preferences import (
    is_prepared,
    prepare_preferences,
    prepared_preferences,
    read_prepared,
)
from nec13b.run_record import MADE_NAME, UNFINISHED

EXAMPLE = {"prompt": "海は？", "chosen": "青い。", "rejected": "赤い。"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    output = tmp_path_factory.mktemp("prepared") / "preferences"
    prepare_preferences(PreparePreferencesConfig(held_out_fraction=0.2), output)
    (output / MADE_NAME).write_text('{"made": 1}')
    return output


@pytest.fixture
def folder(prepared, tmp_path):
    """A prepared folder of the sample, to be damaged."""
    return shutil.copytree(prepared, tmp_path / "prepared")


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_folder_and_memory_give_the_same_preferences(folder):
    read, made = read_prepared(folder), prepared_preferences(PreferenceSettings(held_out_fraction=0.2))
    assert (read.train, read.held_out) == (made.train, made.held_out)
    assert len(read.train) + len(read.held_out) >= 80
    assert made.rejected == {}  # the sample passes its own checks
    assert len(read.held_out) > 5


def test_the_files_are_what_trl_reads(folder):
    for row in rows_of(folder / TRAIN_NAME):
        assert [m["role"] for m in row["chosen"]] == [m["role"] for m in row["rejected"]] == ["assistant"]
        assert row["prompt"][-1]["role"] == "user"


def test_prepared_folders_and_other_entries_side_by_side(folder, tmp_path, write_rows):
    path = write_rows(tmp_path / "more.jsonl", [EXAMPLE, {"a": 1}])
    both = prepared_preferences(PreferenceSettings(preferences=[str(folder), path], held_out_fraction=0))
    alone = read_prepared(folder)
    assert both.held_out == alone.held_out  # the folder's own split stays
    assert both.train[:-1] == alone.train
    assert both.train[-1].id == "more:1"
    assert both.rejected == {"not a preference": 1}


def test_the_folder_of_an_annotation_is_no_prepared_one(tmp_path, write_rows):
    """It has a note of what it was made from, too, but nothing in it is split."""
    write_rows(tmp_path / "preferences.jsonl", [EXAMPLE])
    write_rows(tmp_path / "judgements.jsonl", [])
    (tmp_path / MADE_NAME).write_text("{}")
    assert not is_prepared(str(tmp_path))
    made = prepared_preferences(PreferenceSettings(preferences=[str(tmp_path)], held_out_fraction=0))
    assert [p.chosen[0]["content"] for p in made.train] == ["青い。"]


def test_what_was_set_aside_can_be_read_again_as_it_was(tmp_path, write_rows):
    row = EXAMPLE | {"chosen": "青い[INST]。", "lang": "ja", "id": "p7", "provenance": {"judges": 2}}
    path = write_rows(tmp_path / "a.jsonl", [EXAMPLE, row])
    prepare_preferences(PreparePreferencesConfig(preferences=[path], held_out_fraction=0), tmp_path / "out")
    rejected = tmp_path / "out" / REJECTED_NAME
    (told,) = rows_of(rejected)
    assert (told["source"], told["line"], told["reason"], told["message"]) == (path, 2, "leaked special token", 2)
    (again,) = prepared_preferences(
        PreferenceSettings(preferences=[str(rejected)], skip_checks=["special_tokens"], held_out_fraction=0)
    ).train
    assert (again.id, again.language, again.chosen[0]["content"]) == ("p7", "ja", "青い[INST]。")


def test_of_a_contradiction_neither_side_is_kept(tmp_path, write_rows):
    opposite = EXAMPLE | {"chosen": "赤い。", "rejected": "青い。"}
    path = write_rows(tmp_path / "a.jsonl", [EXAMPLE, EXAMPLE | {"prompt": "空は？"}, opposite])
    made = prepared_preferences(PreferenceSettings(preferences=[path], held_out_fraction=0))
    assert ([p.id for p in made.train], made.rejected) == (["a:2"], {"contradiction": 2})
    kept = prepared_preferences(
        PreferenceSettings(preferences=[path], held_out_fraction=0, skip_checks=["contradictions"])
    )
    assert len(kept.train) == 3


def test_strict_refuses_and_lists_the_first_cases(tmp_path, write_rows):
    path = write_rows(tmp_path / "a.jsonl", [EXAMPLE, *({"a": i} for i in range(12))])
    with pytest.raises(InputError, match="12 preferences or rows cannot be used") as refused:
        prepared_preferences(PreferenceSettings(preferences=[path], strict=True, held_out_fraction=0))
    assert f"{path}, line 2: not a preference (no known shape" in str(refused.value)
    output = tmp_path / "out"
    with pytest.raises(InputError, match=f"All stand in {output / REJECTED_NAME}"):
        prepare_preferences(PreparePreferencesConfig(preferences=[path], strict=True, held_out_fraction=0), output)
    assert [p.name for p in output.iterdir()] == [REJECTED_NAME]


def test_nothing_left_to_train_on_is_an_error_that_says_why(tmp_path, write_rows):
    path = write_rows(tmp_path / "a.jsonl", [{"a": 1}])
    for run in (
        lambda: prepared_preferences(PreferenceSettings(preferences=[path])),
        lambda: prepare_preferences(PreparePreferencesConfig(preferences=[path]), tmp_path / "out"),
    ):
        with pytest.raises(InputError, match="no preference is left to train on; set aside: 1 × not a preference"):
            run()


def test_folders_that_are_not_whole_are_refused(folder):
    assert is_prepared(str(folder))
    (folder / HELD_OUT_NAME).unlink()
    with pytest.raises(InputError, match=r"held_out\.jsonl does not exist; recipes/prepare_preferences\.py makes it"):
        read_prepared(folder)
    (folder / MADE_NAME).write_text(json.dumps(UNFINISHED))
    with pytest.raises(InputError, match="has not ended"):
        read_prepared(folder)


@pytest.mark.parametrize("line", ["{", "3", "{}", '{"prompt": [], "chosen": [], "rejected": []}'])
def test_a_damaged_line_of_a_folder_is_named(folder, line):
    whole = (folder / TRAIN_NAME).read_text(encoding="utf-8").splitlines()
    (folder / TRAIN_NAME).write_text("\n".join([*whole[:2], line, *whole[3:]]), encoding="utf-8")
    with pytest.raises(InputError, match=r"train\.jsonl, line 3 is not a prepared preference"):
        read_prepared(folder)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


PROMPTS = [f"{n}つ目の長い問いです。もう少し書きます。" for n in "一二三四"]  # the second one is held out


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PROMPTS), TEXT, TEXT), max_size=8))
def test_no_prompt_stands_on_both_sides_and_all_comes_back_as_it_was(tmp_path_factory, said):
    folder = tmp_path_factory.mktemp("any")
    rows = [
        {
            "prompt": [{"role": "user", "content": prompt}],
            "chosen": [{"role": "assistant", "content": chosen}],
            "rejected": [{"role": "assistant", "content": rejected}],
        }
        for prompt, chosen, rejected in [*said, *((prompt, "a", "b") for prompt in PROMPTS)]
    ]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = PreparePreferencesConfig(
        preferences=[str(folder / "a.jsonl")], skip_checks=list(CHECKS), personal_data="keep", held_out_fraction=0.5
    )
    report = prepare_preferences(config, folder / "out")
    (folder / "out" / MADE_NAME).write_text("{}")
    split = read_prepared(folder / "out")
    assert {p.prompt[0]["content"] for p in split.held_out} == {PROMPTS[1]}
    assert not {p.prompt_key for p in split.train} & {p.prompt_key for p in split.held_out}
    order = {p.id: p for p in (*split.train, *split.held_out)}
    assert [order[f"a:{n}"].chosen for n in range(1, len(rows) + 1)] == [row["chosen"] for row in rows]
    assert report["length_bias"]["pairs"] == len(rows)


def test_the_report_adds_up_and_the_page_shows_it_without_running_anything(tmp_path, write_rows):
    rows = [
        EXAMPLE | {"prompt": "<script>alert(1)</script>", "chosen": "\u202eこれは危ない。", "lang": "ja"},
        EXAMPLE,
        EXAMPLE,
        EXAMPLE | {"prompt": "空は？", "rejected": "<img src=x onerror=alert(2)><|im_end|>"},
        {"no": "preference"},
        {"prompt": "山は？", "answers": ["a", "b"], "scores": [1, 1]},
    ]
    path = write_rows(tmp_path / "a.jsonl", rows)
    config = PreparePreferencesConfig(preferences=[path, "sample"], held_out_fraction=0.1)
    report = prepare_preferences(config, tmp_path / "out")
    own, sample = report["sources"]
    assert (own["train"] + own["held_out"], own["set_aside"]) == (2, 4)
    assert sample["set_aside"] == 0
    assert report["reasons"] == {
        "duplicate": {"a": 1}, "leaked special token": {"a": 1}, "not a preference": {"a": 1}, "tie": {"a": 1},
    }  # fmt: skip
    kept = report["kept"]["train"] + report["kept"]["held_out"]
    assert kept == sum(report["length_ratios"].values()) == report["length_bias"]["pairs"]
    assert kept == sum(source["length_bias"]["pairs"] for source in report["sources"])
    assert kept == sum(report["strengths"].values()) == sum(report["languages"]["chosen"].values())
    assert json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8")) == report
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert "rejected: message 2 (assistant): &lt;|im_end|&gt;" in page
    assert "http" not in page.split("</style>")[0]


def test_the_page_says_which_length_is_preferred(tmp_path, write_rows):
    longer = [{"prompt": f"{n}番目の問いです。", "chosen": "長い" * (n + 2), "rejected": "短い"} for n in range(30)]
    turned = [row | {"chosen": row["rejected"], "rejected": row["chosen"]} for row in longer]
    for name, rows, word in (("a", longer, "longer"), ("b", turned, "shorter")):
        path = write_rows(tmp_path / f"{name}.jsonl", rows)
        config = PreparePreferencesConfig(
            preferences=[path], skip_checks=["near_duplicates", "near_same_answers"], held_out_fraction=0
        )
        report = prepare_preferences(config, tmp_path / name)
        assert report["length_bias"][f"{word}_wins"]["accuracy"] == 1
        page = (tmp_path / name / "report.html").read_text(encoding="utf-8")
        assert f"The chosen answer tends to be the <b>{word}</b> one" in page


def test_a_sample_lies_in_the_package():
    (source,) = parse_preference_sources("sample")
    assert len(source.files()) == 7
