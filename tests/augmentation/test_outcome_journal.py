"""A journal loses no whole line, wherever it was cut, and says which lines it cannot read."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.augmentation.outcome_journal import Outcome, OutcomeJournal
from nec13b.corpus import Rejections
from nec13b.dialogues.dialogue import Dialogue
from nec13b.errors import InputError


def outcome(item: int, text: str = "はい") -> Outcome:
    messages = [{"role": "user", "content": text}]
    return Outcome(
        1, item, "kept", Dialogue(messages, id=f"augmented/1-{item}", provenance={"operation": "persona"}), 0
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1500), st.text(max_size=90))
def test_after_a_cut_all_whole_lines_are_there_and_new_ones_follow(tmp_path_factory, cut, text):
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    journal = OutcomeJournal(path)
    for item in range(1, 5):
        journal.append(outcome(item, text))
    journal.close()
    data = path.read_bytes()[:cut]
    path.write_bytes(data)
    whole = data.count(b"\n")
    assert [o.item for o in journal.records()] == list(range(1, whole + 1))
    journal.append(outcome(9, text))
    journal.close()
    read = list(journal.records())
    assert [o.item for o in read] == [*range(1, whole + 1), 9]
    assert read[-1] == outcome(9, text)
    assert not journal.rejections.counts


def test_a_cut_line_longer_than_a_block_is_removed(tmp_path):
    journal = OutcomeJournal(tmp_path / "journal.jsonl")
    journal.append(outcome(1))
    journal.close()
    with journal.path.open("ab") as file:
        file.write(b"x" * 200_000)
    journal.append(outcome(2))
    assert [o.item for o in journal.records()] == [1, 2]


def test_an_item_of_which_nothing_was_written_comes_back(tmp_path):
    journal = OutcomeJournal(tmp_path / "journal.jsonl")
    nothing = Outcome(
        1, 1, "failed", Dialogue([], id="augmented/1-1", provenance={"operation": "persona"}), 0, "timeout", "no reply"
    )
    journal.append(nothing)
    assert list(journal.records()) == [nothing]


@pytest.mark.parametrize(
    "line",
    [
        b"null",
        b"{}",
        b"[1]",
        b'{"round": 1}',
        b"\xff\xfe",
        b"{" * 100_000,
        json.dumps({"round": 1, "item": "x"}).encode(),
    ],
)
def test_lines_that_are_no_outcome_are_noted(tmp_path, line):
    journal = OutcomeJournal(tmp_path / "journal.jsonl", Rejections(tmp_path / "rejected.jsonl"))
    journal.path.write_bytes(line + b"\n")
    journal.append(outcome(2))
    assert [o.item for o in journal.records()] == [2]
    assert json.loads((tmp_path / "rejected.jsonl").read_text())["line"] == 1


def test_a_full_disk_is_said_in_one_line():
    journal = OutcomeJournal(Path("/dev/full"))
    with pytest.raises(InputError, match="cannot write /dev/full"):
        journal.append(outcome(1))
