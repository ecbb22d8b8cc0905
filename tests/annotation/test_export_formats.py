"""What a campaign gives away can be read by others, and taken in again as it was."""

import json

import pytest
from datasets import load_dataset

from nec13b.annotation.campaign import Campaign
from nec13b.annotation.export_formats import pairs_and_judgements, take_in, write_export
from nec13b.errors import InputError
from nec13b.preferences.adjudication import AdjudicationRule
from nec13b.preferences.judgement_files import read_judgements

RULE = AdjudicationRule()
SAID = {
    "ken": ["first_better", "tie", "both_bad", "second_slightly_better", "first_better"],
    "mei@example.org": ["first_slightly_better", "tie", "both_bad", "second_better", "skipped"],
}


@pytest.fixture
def campaign(campaign_of_pairs):
    """Four pairs and a check, judged by two people."""
    campaign, _ = campaign_of_pairs(4, checks=1, check_every=1)
    for name, verdicts in SAID.items():
        while shown := campaign.task_for(name):
            verdict = verdicts[int(shown.task.id[1:])]
            content = {"verdict": verdict, "shown_first": "first"}
            if verdict == "first_better":
                content |= {"reasons": ["harmful", "wrong"], "edited": "直した\n回答", "comment": "よい"}
            campaign.judge(shown.token, name, content, verdict != "skipped", 0.0)
    return campaign


def test_jsonl(campaign, tmp_path):
    judgements, preferences = write_export("jsonl", tmp_path, campaign, RULE)
    assert read_judgements(judgements) == pairs_and_judgements(campaign)[1]
    rows = [json.loads(line) for line in preferences.open(encoding="utf-8")]
    assert [(row["id"], row["strength"]) for row in rows] == [("p0", "clear"), ("p3", "clear")]
    assert rows[0]["chosen"] == [{"role": "assistant", "content": "直した\n回答"}]


def test_a_data_set(campaign, tmp_path):
    (path,) = write_export("datasets", tmp_path, campaign, RULE)
    rows = load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows.column_names[:3] == ["prompt", "chosen", "rejected"]
    assert rows[1]["chosen"][0]["content"] == "二つ目3"


@pytest.mark.parametrize("kind", ["argilla", "label_studio", "jsonl"])
def test_there_and_back(campaign, kind, tmp_path):
    path = write_export(kind, tmp_path, campaign, RULE)[0]
    other = Campaign(tmp_path / "other.sqlite", 2)
    other.take_in(campaign.tasks())
    kept = [one for one in pairs_and_judgements(campaign)[1] if kind == "jsonl" or one.verdict != "skipped"]
    assert take_in(path, other) == {"recorded": len(kept), "known": 0, "strange": 0}
    assert take_in(path, other) == {"recorded": 0, "known": len(kept), "strange": 0}
    names = ["pair", "annotator", "verdict", "reasons", "edited"]
    names += ["comment", "shown_first", "seconds", "time"] if kind == "jsonl" else []
    said = lambda judgements: sorted([getattr(one, name) for name in names] for one in judgements)  # noqa: E731
    assert said(pairs_and_judgements(other)[1]) == said(kept)


def test_the_shape_that_argilla_reads(campaign, tmp_path):
    """`Record.from_dict` takes these keys, and a list of value and user_id for each question."""
    rows = json.loads(write_export("argilla", tmp_path, campaign, RULE)[0].read_text())
    assert set(rows[0]) == {"id", "fields", "metadata", "suggestions", "responses", "vectors"}
    assert all(isinstance(value, str) for value in rows[0]["fields"].values())
    for responses in rows[0]["responses"].values():
        assert all(set(response) == {"value", "user_id"} for response in responses)


def test_the_shape_that_label_studio_reads(campaign, tmp_path):
    tasks, config = write_export("label_studio", tmp_path, campaign, RULE)
    task = json.loads(tasks.read_text())[0]
    for result in task["annotations"][0]["result"]:
        assert f'name="{result["from_name"]}"' in config.read_text()
        assert {"from_name", "to_name", "type", "value"} <= set(result)
    assert all(f'"${name}"' in config.read_text() for name in ("prompt", "first", "second"))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.json", "{", "is not JSON"),
        ("x.json", "[]", "neither"),
        ("x.json", '[{"data": {}, "annotations": [{}]}]', "not of this campaign"),
        ("x.json", '[{"fields": {}, "id": "a", "responses": {"preference": [{"value": "x", "user_id": "u"}]}}]', "'x' is not one of"),  # noqa: E501
        ("x.jsonl", '{"pair": "p0"}\n', "line 1"),
        ("missing.json", None, "cannot be read"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_taken_in(campaign, tmp_path, name, text, said):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        take_in(tmp_path / name, campaign)


def test_judgements_of_other_pairs_are_counted(campaign, tmp_path):
    (tmp_path / "other.jsonl").write_text('{"pair": "no such", "annotator": "ken", "verdict": "tie"}\n')
    assert take_in(tmp_path / "other.jsonl", campaign)["strange"] == 1
