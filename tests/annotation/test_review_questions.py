"""Reviewing what a model wrote: decisions go into reviewed.jsonl, none is lost, none stands there twice."""

import json

import pytest

from nec13b.annotation.annotation_report import review_figures
from nec13b.annotation.campaign import Campaign
from nec13b.annotation.judgement_form import UnusableForm
from nec13b.annotation.review_questions import ReviewQuestions
from nec13b.augmentation.review_queue import read_decisions
from nec13b.corpus import Rejections
from nec13b.errors import InputError

QUESTION, ANSWER = {"role": "user", "content": "質問"}, {"role": "assistant", "content": "答え"}


@pytest.fixture
def folder(tmp_path):
    """What an amplification leaves for review: three dialogues."""
    rows = [
        {"id": f"augmented/1-{i:06d}", "messages": [QUESTION, ANSWER], "new_from": 1 if i else 0, "language": "ja",
         "operation": "persona", "persona": "大工", "score": 4, "seed_id": "s:1", "model": "m", "round": 1,
         "seed_messages": [QUESTION, ANSWER]}
        for i in range(3)
    ]  # fmt: skip
    (tmp_path / "review.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.fixture
def begun(folder):
    """Starts the review, as a start of the server does."""

    def begin() -> tuple[Campaign, ReviewQuestions]:
        questions = ReviewQuestions(folder)
        campaign = Campaign(folder / "review" / "campaign.sqlite")
        campaign.take_in(questions.tasks())
        questions.after(campaign)
        return campaign, questions

    return begin


def decide(campaign, questions, form: dict, name: str = "由紀", reasons=(), write: bool = True) -> str:
    """Decides on what is shown to somebody; the token. Without `write`, the machine goes down after the commit."""
    shown = campaign.task_for(name)
    content = questions.content(form, reasons, shown.task, name)
    campaign.judge(shown.token, name, content, questions.counts(content))
    if write:
        questions.after(campaign)
    return shown.token


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "reviewed.jsonl").read_text().splitlines()]


def test_decisions_are_what_the_amplification_reads(begun, folder):
    campaign, questions = begun()
    decide(campaign, questions, {"choice": "accept"})
    decide(campaign, questions, {"choice": "edit", "message_0": "質問", "message_1": "より良い\r\n答え"})
    decide(campaign, questions, {"choice": "reject", "comment": "違う"}, reasons=["wrong"])
    rejections = Rejections()
    decisions = read_decisions(folder / "reviewed.jsonl", rejections)
    assert not rejections.counts
    assert sorted(one.decision for one in decisions.values()) == ["accept", "edit", "reject"]
    (edited,) = (one for one in decisions.values() if one.decision == "edit")
    assert edited.messages == [QUESTION, {"role": "assistant", "content": "より良い\n答え"}]
    assert (edited.reviewer, bool(edited.time)) == ("由紀", True)
    (rejected,) = (row for row in lines(folder) if row["decision"] == "reject")
    assert (rejected["reasons"], rejected["comment"]) == (["wrong"], "違う")
    assert review_figures(campaign) == {"waiting": 0, "by_reviewer": {"由紀": {"accept": 1, "edit": 1, "reject": 1}}}


def test_taking_back_withdraws_the_decision(begun, folder):
    campaign, questions = begun()
    token = decide(campaign, questions, {"choice": "reject"})
    campaign.take_back("由紀", token)
    questions.after(campaign)
    assert read_decisions(folder / "reviewed.jsonl", Rejections()) == {}
    decide(campaign, questions, {"choice": "accept"})
    assert [row["decision"] for row in lines(folder)] == ["reject", "withdraw", "accept"]
    (decision,) = read_decisions(folder / "reviewed.jsonl", Rejections()).values()
    assert decision.decision == "accept"


def test_what_a_power_cut_kept_from_the_file_is_written_at_the_next_start(begun, folder):
    campaign, questions = begun()
    decide(campaign, questions, {"choice": "accept"})
    decide(campaign, questions, {"choice": "reject"}, write=False)
    with (folder / "reviewed.jsonl").open("a") as file:
        file.write('{"id": "augmen')  # a line that was cut
    begun()
    begun()
    whole = [line for line in (folder / "reviewed.jsonl").read_text().splitlines() if line.endswith("}")]
    assert [json.loads(line)["decision"] for line in whole] == ["accept", "reject"]
    assert len(read_decisions(folder / "reviewed.jsonl", Rejections())) == 2


def test_what_others_decided_stays(begun, folder):
    (folder / "reviewed.jsonl").write_text('{"id": "other", "decision": "accept"}')
    campaign, questions = begun()
    decide(campaign, questions, {"choice": "accept"})
    assert len(read_decisions(folder / "reviewed.jsonl", Rejections())) == 2


def test_a_skipped_dialogue_is_no_decision(begun, folder):
    campaign, questions = begun()
    decide(campaign, questions, {"skip": "1"})
    assert not (folder / "reviewed.jsonl").exists()
    assert review_figures(campaign)["waiting"] == 3


def test_an_edit_that_changes_nothing_is_an_acceptance(begun, folder):
    campaign, questions = begun()
    decide(campaign, questions, {"choice": "edit", "message_0": "質問\r\n", "message_1": "答え"})
    assert lines(folder)[0]["decision"] == "accept"


@pytest.mark.parametrize("text", ["", "  ", "<|im_end|>"])
def test_edits_that_cannot_be_used_are_refused(begun, text):
    campaign, questions = begun()
    shown = campaign.task_for("由紀")
    with pytest.raises(UnusableForm, match="bad_edit"):
        questions.content({"choice": "edit", "message_0": "質問", "message_1": text}, [], shown.task, "由紀")


def test_dialogues_decided_elsewhere_are_asked_no_longer(begun, folder):
    begun()
    rows = (folder / "review.jsonl").read_text().splitlines(keepends=True)
    (folder / "review.jsonl").write_text(rows[2])
    campaign, _ = begun()
    assert campaign.progress_of("由紀").left == 1


def test_queues_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="augment_dialogues"):
        ReviewQuestions(tmp_path).tasks()
    for line in ("{", '{"id": 1}', '{"id": "a", "messages": [], "new_from": 0}', "[]"):
        (tmp_path / "review.jsonl").write_text(line)
        with pytest.raises(InputError, match="line 1"):
            ReviewQuestions(tmp_path).tasks()
