"""What is asked about a pair of answers: which one stands as A is chance, and stays the same for a person."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..preferences.answer_pair import AnswerPair
from ..preferences.judgement import REASONS, Judgement
from ..preferences.judgement_files import pair_of_row, read_pairs
from .campaign import Campaign, StoredJudgement, Task, chance
from .judgement_form import UnusableForm, written

SAMPLE = "sample"
# As the page calls them, in the order of its keys; A is the answer that is shown first.
CHOICES = ("a_better", "a_slightly_better", "tie", "b_slightly_better", "b_better", "both_bad")


class PairQuestions:
    """Pairs as the tasks of a campaign.

    Args:
        path: of `pairs.jsonl`, or `sample`.
    """

    template = "pair.html.j2"

    def __init__(self, path: str):
        self.path = Path(__file__).with_name("sample") / "pairs.jsonl" if path == SAMPLE else Path(path)

    def tasks(self) -> list[Task]:
        """The pairs; raises InputError with the line of one that is none."""
        return [Task(pair.id, pair.to_row(), right_answer(pair) is not None) for pair in read_pairs(self.path)]

    def view(self, task: Task, annotator: str, before: StoredJudgement | None) -> dict[str, Any]:
        """What the template shows: the prompt, and the answers in the person's order, without where they come from."""
        pair, first = pair_of_row(task.row), first_shown(task.id, annotator)
        answers = [pair.first, pair.second] if first == "first" else [pair.second, pair.first]
        said = before.content if before else {}
        choice = turned(said["verdict"], first) if said.get("verdict") else ""
        return {
            "prompt": pair.prompt,
            "answers": [
                {
                    "name": name,
                    "text": answer.text,
                    "edited": said.get("edited", "") if choice.startswith(name.lower() + "_") else "",
                }
                for name, answer in zip("AB", answers)
            ],
            "choices": CHOICES,
            "reasons": REASONS,
            "said": {
                "choice": choice,
                "reasons": said.get("reasons", []),
                "comment": said.get("comment", ""),
            },
        }

    def content(self, form: Mapping[str, Any], chosen_reasons: Iterable[str], task: Task, annotator: str) -> dict:
        """The judgement that a form holds, in the pair's own order; raises UnusableForm."""
        pair, first = pair_of_row(task.row), first_shown(task.id, annotator)
        comment = written(form, "comment")
        if form.get("skip"):
            return {"verdict": "skipped", "comment": comment, "shown_first": first}
        choice = form.get("choice", "")
        if choice not in CHOICES:
            raise UnusableForm("choose_first")
        verdict = turned(choice, first)
        edited = ""
        if form.get("edit") == choice[0].upper() and choice[:2] in ("a_", "b_"):
            better = pair.first if verdict.startswith("first") else pair.second
            edited = written(form, f"edited_{choice[0].upper()}")
            edited = "" if edited.strip() == better.text.replace("\r\n", "\n").strip() else edited
        reasons = [] if choice == "tie" else [reason for reason in REASONS if reason in set(chosen_reasons)]
        return {"verdict": verdict, "reasons": reasons, "edited": edited, "comment": comment, "shown_first": first}

    def counts(self, content: Mapping[str, Any]) -> bool:
        """Whether it is one of the judgements that the pair needs."""
        return content["verdict"] != "skipped"

    def after(self, campaign: Campaign) -> None:
        """What is done when something was judged or taken back: nothing, for the campaign's file is all there is."""


def first_shown(pair: str, annotator: str) -> str:
    """Which answer somebody sees as A: `first` or `second`."""
    return "first" if chance("order", annotator, pair) < 0.5 else "second"


def right_answer(pair: AnswerPair) -> str | None:
    """The better answer of a planted check, `first` or `second`; None of an ordinary pair."""
    check = pair.provenance.get("check")
    better = check.get("better") if isinstance(check, dict) else None
    return better if better in ("first", "second") else None


def judgement_of(stored: StoredJudgement) -> Judgement:
    """A judgement out of the log as the files hold it."""
    content = stored.content
    return Judgement(
        pair=stored.task,
        annotator=stored.annotator,
        verdict=content["verdict"],
        reasons=tuple(content.get("reasons", ())),
        edited=content.get("edited", ""),
        comment=content.get("comment", ""),
        shown_first=content.get("shown_first", ""),
        seconds=stored.seconds,
        time=stored.time,
    )


def turned(verdict: str, first: str) -> str:
    """Between what the page calls a choice and the pair's own verdict, in both directions."""
    a, b = ("first", "second") if first == "first" else ("second", "first")
    for one, other in ((f"{a}_", "a_"), (f"{b}_", "b_")):
        if verdict.startswith(one):
            return other + verdict.removeprefix(one)
        if verdict.startswith(other):
            return one + verdict.removeprefix(other)
    return verdict
