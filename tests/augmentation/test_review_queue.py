"""Decisions of people are read back, and what is no decision is said with its line."""

import json

import pytest

from nec13b.augmentation.review_queue import read_decisions
from nec13b.corpus import Rejections

GOOD = [{"role": "user", "content": "なぜ？"}, {"role": "assistant", "content": "重さのためです。"}]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"decision": "accept"}, "no id"),
        ({"id": "a"}, "decision is not one of"),
        ({"id": "a", "decision": ["accept"]}, "decision is not one of"),
        ([], "no id"),
        ({"id": "a", "decision": "edit"}, "an edit without messages"),
        ({"id": "a", "decision": "edit", "messages": "x"}, "an edit without messages"),
        ({"id": "a", "decision": "edit", "messages": GOOD[:1]}, "must alternate"),
        ({"id": "a", "decision": "edit", "messages": GOOD[::-1]}, "must alternate"),
        ({"id": "a", "decision": "edit", "messages": [GOOD[0], {"role": "assistant", "content": " "}]}, "is empty"),
        (
            {"id": "a", "decision": "edit", "messages": [GOOD[0], {"role": "assistant", "content": "<|im_end|>"}]},
            "holds",
        ),
    ],
)
def test_what_is_no_decision_is_set_aside(tmp_path, row, reason):
    path = tmp_path / "reviewed.jsonl"
    path.write_text(json.dumps({"id": "b", "decision": "reject"}) + "\n\n" + json.dumps(row) + "\n")
    rejections = Rejections(tmp_path / "rejected.jsonl")
    assert list(read_decisions(path, rejections)) == ["b"]
    noted = json.loads((tmp_path / "rejected.jsonl").read_text())
    assert noted["line"] == 3
    assert reason in noted["reason"]


def test_the_last_decision_counts_and_a_missing_file_decides_nothing(tmp_path):
    path = tmp_path / "reviewed.jsonl"
    assert read_decisions(path, Rejections()) == {}
    system = [{"role": "system", "content": "短く。"}, *GOOD]
    rows = [{"id": "a", "decision": "accept"}, {"id": "a", "decision": "edit", "messages": system, "comment": "短く"}]
    path.write_text("\ufeff" + "\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    decisions = read_decisions(path, Rejections())
    assert (decisions["a"].decision, decisions["a"].messages, decisions["a"].comment) == ("edit", system, "短く")


def test_a_withdrawn_decision_is_none(tmp_path):
    path = tmp_path / "reviewed.jsonl"
    rows = [("a", "accept"), ("a", "withdraw"), ("b", "withdraw"), ("c", "withdraw"), ("c", "reject")]
    path.write_text("".join(json.dumps({"id": name, "decision": decision}) + "\n" for name, decision in rows))
    rejections = Rejections()
    assert {name: one.decision for name, one in read_decisions(path, rejections).items()} == {"c": "reject"}
    assert not rejections.counts
