"""One comparison of two answers with its verdict, and the files that hold such."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..corpus import Rejections
from ..errors import InputError
from ..whole_files import write_json_lines
from .rakuda_rows import SAMPLE, rows_of_places, sample_file
from .verdicts import FIRST, LAST_DIGIT, SECOND, TIE, UNREADABLE, verdict_of

MATCHES_NAME = "matches.jsonl"
# As Rakuda's files say it: a score in those of version 1, a winner in those of version 2.
SCORES = {1: FIRST, 2: SECOND, 3: TIE, -1: UNREADABLE}
WINNERS = {"model1_id": FIRST, "model2_id": SECOND, "tie": TIE, "error": UNREADABLE, 1: FIRST, 2: SECOND, 3: TIE}


@dataclass(frozen=True)
class Match:
    """One comparison: a question, the answers of two models in the order in which the judge read them, the verdict.

    Attributes:
        question_id: of the question.
        first, second: the models.
        verdict: `first`, `second`, `tie` or `unreadable`.
        review: what the judge said, or empty where only the verdict was kept.
        question, first_answer, second_answer: the texts, or empty where they were not kept.
        provenance: judge, digest of the prompt, time, tokens; free.
    """

    question_id: str
    first: str
    second: str
    verdict: str
    review: str = ""
    question: str = ""
    first_answer: str = ""
    second_answer: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """(question, first, second)."""
        return self.question_id, self.first, self.second

    @property
    def has_answers(self) -> bool:
        """Whether the answers are known."""
        return bool(self.first_answer or self.second_answer)

    def to_row(self) -> dict[str, Any]:
        """As a line of `matches.jsonl`, with the field names of Rakuda's files; empty fields are left out."""
        score = {verdict: score for score, verdict in SCORES.items()}[self.verdict]
        row = {"question_id": self.question_id, "model1_id": self.first, "model2_id": self.second, "score": score,
               "question": self.question, "response1": self.first_answer, "response2": self.second_answer,
               "review": self.review, "provenance": self.provenance}  # fmt: skip
        return {name: value for name, value in row.items() if value not in ("", {})}

    @classmethod
    def from_row(cls, row: Any, output_format: str = LAST_DIGIT) -> "Match":
        """From a line of `matches.jsonl`, of Rakuda's matches, reviews (version 1) or judgments (version 2).

        A verdict that the row does not hold is read in its review. Raises ValueError, TypeError or KeyError where the
        row is none of these.
        """
        review = next((row[name] for name in ("review", "judgment", "text", "referee_comments") if row.get(name)), "")
        if "score" in row:
            verdict = SCORES[row["score"]]
        elif "winner" in row:
            verdict = WINNERS[row["winner"]]
        else:
            verdict = verdict_of(review, output_format)
        answers = [next((row[name] for name in names if row.get(name)), "")
                   for names in (("response1", "answer1"), ("response2", "answer2"))]  # fmt: skip
        question = row.get("question") or row.get("question_text") or ""
        provenance = row.get("provenance") or {}
        if "judge" in row and not provenance:  # of version 2: [model, name of the prompt]
            judge, *prompt = row["judge"] if isinstance(row["judge"], list) else [row["judge"]]
            provenance = {"judge": str(judge)} | ({"prompt": str(prompt[0])} if prompt else {})
        found = cls(str(row["question_id"]), row["model1_id"], row["model2_id"], verdict, review, question, *answers,
                    provenance)  # fmt: skip
        texts = (found.first, found.second, review, question, *answers)
        named = row["question_id"] not in (None, "") and isinstance(provenance, dict)
        if not named or found.first == found.second or not all(isinstance(text, str) for text in texts):
            raise ValueError("no match of two models")
        return found


def write_matches(path: Path, matches: Sequence[Match]) -> None:
    """Writes `matches.jsonl`; the path holds the old content or the new, never half."""
    write_json_lines(path, (match.to_row() for match in matches))


def read_matches(
    places: Sequence[str], rejections: Rejections, output_format: str = LAST_DIGIT, verdicts_from_reviews: bool = False
) -> list[Match]:
    """The matches of files or folders, each comparison once.

    Args:
        places: files of rows, folders that hold a `matches.jsonl`, or `sample`.
        rejections: takes note of lines that are no match, and of comparisons that come again.
        output_format: of reviews whose row has no verdict.
        verdicts_from_reviews: read every verdict in its review again.

    Raises:
        InputError: a place that does not exist, or nothing in it that could be read.
    """
    paths = [
        path / MATCHES_NAME if (path := Path(place).expanduser()).is_dir() else path
        for place in (sample_file("reviews") if place == SAMPLE else place for place in places)
    ]
    found: dict[tuple[str, str, str], Match] = {}
    for path, line, row in rows_of_places(paths, rejections):
        try:
            match = Match.from_row(row, output_format)
        except (ValueError, TypeError, KeyError, AttributeError):
            rejections.add(str(path), line, "no match can be read in the line", str(row))
            continue
        if match.key in found:
            rejections.add(str(path), line, "the same comparison a second time", str(match.key))
            continue
        if verdicts_from_reviews and match.review and match.provenance.get("finish_reason") != "length":
            match = replace(match, verdict=verdict_of(match.review, output_format))
        found[match.key] = match
    if not found:
        raise InputError(f"no match can be read in {', '.join(map(str, paths))}: {rejections}")
    return list(found.values())
