"""Prepared dialogues: the same split in memory and in a folder, read back as written, and strict where asked for."""

import json
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.dialogues import Dialogue
from nec13b.dialogues.dialogue_settings import DialogueSettings, PrepareDialoguesConfig
from nec13b.dialogues.prepared_dialogues import prepare_dialogues, prepared_dialogues, read_prepared
from nec13b.dialogues.prepared_folder import (
    HELD_OUT_NAME,
    REJECTED_NAME,
    TRAIN_NAME,
    DialogueRejections,
    is_prepared,
)
from nec13b.errors import InputError
from nec13b.run_record import MADE_NAME, UNFINISHED

EXAMPLE = {"messages": [{"role": "user", "content": "海は？"}, {"role": "assistant", "content": "青い。"}]}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    output = tmp_path_factory.mktemp("prepared") / "dialogues"
    prepare_dialogues(PrepareDialoguesConfig(held_out_fraction=0.2), output)
    (output / MADE_NAME).write_text('{"made": 1}')
    return output


@pytest.fixture
def folder(prepared, tmp_path):
    """A prepared folder of the sample, to be damaged."""
    return shutil.copytree(prepared, tmp_path / "prepared")


def test_folder_and_memory_give_the_same_dialogues(folder):
    read, made = read_prepared(folder), prepared_dialogues(DialogueSettings(held_out_fraction=0.2))
    assert (read.train, read.held_out) == (made.train, made.held_out)
    assert len(read.train) > 100
    assert len(read.held_out) > 10
    assert not {d.id for d in read.train} & {d.id for d in read.held_out}


def test_prepared_folders_and_other_entries_side_by_side(folder, tmp_path, write_rows):
    path = write_rows(tmp_path / "more.jsonl", [EXAMPLE, {"a": 1}])
    both = prepared_dialogues(DialogueSettings(dialogues=[str(folder), path], held_out_fraction=0))
    alone = read_prepared(folder)
    assert both.held_out == alone.held_out  # the folder's own split stays
    assert both.train == [*alone.train, Dialogue(EXAMPLE["messages"], id="more:1", source="more")]
    assert both.rejected == {"not a dialogue": 1}


def test_a_prepared_folder_as_an_entry_does_not_bring_back_what_was_set_aside(folder, tmp_path, write_rows):
    write_rows(folder / REJECTED_NAME, [EXAMPLE])
    again = tmp_path / "again"
    report = prepare_dialogues(PrepareDialoguesConfig(dialogues=[str(folder)]), again)
    assert report["kept"]["train"] + report["kept"]["held_out"] == len(read_prepared(folder).train) + len(
        read_prepared(folder).held_out
    )


def test_rejected_dialogues_can_be_read_again_as_they_were(tmp_path, messages_of, write_rows):
    messages = messages_of("U 問い", "A [INST]")
    path = write_rows(tmp_path / "a.jsonl", [EXAMPLE, {"messages": messages}])
    prepare_dialogues(PrepareDialoguesConfig(dialogues=[path], held_out_fraction=0), tmp_path / "out")
    rejected = tmp_path / "out" / REJECTED_NAME
    (row,) = map(json.loads, rejected.read_text().splitlines())
    assert (row["source"], row["line"], row["reason"], row["label"]) == (path, 2, "leaked special token", "a")
    taken_back = prepared_dialogues(
        DialogueSettings(dialogues=[str(rejected)], skip_checks=["special_tokens"], held_out_fraction=0)
    )
    assert taken_back.train[0].messages == messages


def test_strict_refuses_and_lists_the_first_cases(tmp_path, write_rows):
    path = write_rows(tmp_path / "a.jsonl", [EXAMPLE, *({"a": i} for i in range(12))])
    with pytest.raises(InputError, match="12 dialogues or rows cannot be used") as refused:
        prepared_dialogues(DialogueSettings(dialogues=[path], strict=True, held_out_fraction=0))
    assert f"{path}, line 2: not a dialogue (no known shape" in str(refused.value)
    assert "line 11" in str(refused.value)
    assert "line 12" not in str(refused.value)
    assert "and 2 more" in str(refused.value)
    output = tmp_path / "out"
    with pytest.raises(InputError, match=f"All stand in {output / REJECTED_NAME}"):
        prepare_dialogues(PrepareDialoguesConfig(dialogues=[path], strict=True), output)
    assert [p.name for p in output.iterdir()] == [REJECTED_NAME]


def test_nothing_left_to_train_on_is_an_error_that_says_why(tmp_path, write_rows):
    path = write_rows(tmp_path / "a.jsonl", [{"a": 1}])
    for run in (
        lambda: prepared_dialogues(DialogueSettings(dialogues=[path])),
        lambda: prepare_dialogues(PrepareDialoguesConfig(dialogues=[path]), tmp_path / "out"),
    ):
        with pytest.raises(InputError, match="no dialogue is left to train on; set aside: 1 × not a dialogue"):
            run()


def test_folders_that_are_not_whole_are_refused(folder):
    assert is_prepared(str(folder))
    assert not is_prepared("sample")
    (folder / HELD_OUT_NAME).unlink()
    with pytest.raises(InputError, match=r"held_out\.jsonl does not exist"):
        read_prepared(folder)
    (folder / MADE_NAME).write_text(json.dumps(UNFINISHED))
    with pytest.raises(InputError, match="has not ended"):
        read_prepared(folder)


@pytest.mark.parametrize(
    "line", ["{", "3", "{}", '{"messages": []}', '{"messages": [{"role": "user"}]}', '{"messages": [1]}',
             '{"messages": [{"role": "user", "content": "a"}], "colour": "red"}']
)  # fmt: skip
def test_a_damaged_line_of_a_folder_is_named(folder, line):
    whole = (folder / TRAIN_NAME).read_text(encoding="utf-8").splitlines()
    (folder / TRAIN_NAME).write_text("\n".join([*whole[:2], line, *whole[3:]]), encoding="utf-8")
    with pytest.raises(InputError, match=r"train\.jsonl, line 3 is not a prepared dialogue"):
        read_prepared(folder)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(TEXT, min_size=2, max_size=6), min_size=1, max_size=8))
def test_whatever_people_say_comes_back_as_it_was(tmp_path_factory, said):
    folder = tmp_path_factory.mktemp("any")
    roles = ("user", "assistant")
    dialogues = [[{"role": roles[i % 2], "content": text} for i, text in enumerate(turns)] for turns in said]
    (folder / "a.jsonl").write_text("".join(json.dumps({"messages": m}) + "\n" for m in dialogues))
    skip = ["empty_turns", "order", "special_tokens", "language", "duplicates", "near_duplicates"]
    config = PrepareDialoguesConfig(
        dialogues=[str(folder / "a.jsonl")], skip_checks=skip, personal_data="keep", held_out_fraction=0
    )
    report = prepare_dialogues(config, folder / "out")
    (folder / "out" / MADE_NAME).write_text("{}")
    assert [dialogue.messages for dialogue in read_prepared(folder / "out").train] == dialogues
    assert report["kept"]["messages"] == sum(map(len, dialogues))


def test_the_report_adds_up_and_the_page_shows_it_without_running_anything(tmp_path, messages_of, write_rows):
    rows = [
        {
            "messages": messages_of("S 短く", "U <script>alert(1)</script>", "A これはとても短いお答えです。"),
            "lang": "ja",
        },
        {"messages": messages_of("U 一", "A 二")},
        {"messages": messages_of("U 一", "A 二")},
        {"messages": messages_of(*["U 一", "A 二"] * 9, "U 最後")},
        {"no": "dialogue"},
    ]
    path = write_rows(tmp_path / "a.jsonl", rows)
    with open(path, "a") as file:
        file.write("{broken\n")
    report = prepare_dialogues(
        PrepareDialoguesConfig(dialogues=[path, "sample"], held_out_fraction=0.1), tmp_path / "out"
    )
    own, sample = report["sources"]
    assert (own["train"] + own["held_out"], own["set_aside"], own["with_system"]) == (2, 4, 1)
    assert sample["set_aside"] == 0
    assert report["reasons"] == {
        "duplicate": {"a": 1}, "no answer at the end": {"a": 1}, "not a dialogue": {"a": 1}, "broken JSON": {"a": 1},
    }  # fmt: skip
    kept = report["kept"]["train"] + report["kept"]["held_out"]
    assert kept == sum(report["exchanges"].values()) == sum(report["languages"].values())
    assert sum(report["lengths"]["user"].values()) == sum(int(n) * c for n, c in report["exchanges"].items())
    shown = report["examples"]["rejected"]["no answer at the end"][0]["messages"]
    assert [m["content"] for m in shown if m.get("wrong")] == ["最後"]
    assert json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8")) == report
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "message 19 (user) is the last" in page
    assert "http" not in page.split("</style>")[0]


def test_the_first_cases_are_remembered_and_no_more(tmp_path):
    rejections = DialogueRejections()
    for line in range(100):
        rejections.add("a", line, "why")
    assert (len(rejections.first), rejections.counts["why"]) == (10, 100)
