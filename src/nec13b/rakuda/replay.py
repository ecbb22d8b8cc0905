"""Recorded reviews in the place of a judge: verdicts are read in them again, and nobody is asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..corpus import Rejections
from .answers import Answers
from .matches import Match, read_matches


@dataclass(frozen=True)
class Replay:
    """What a replay gave.

    Attributes:
        matches: with the verdicts that were read in the reviews, or recorded where a review was not kept.
        reviews: matches whose review was read.
        as_recorded: of those, how many were read as was recorded.
        other_answers: matches left out since they were about other answers than those that are given.
    """

    matches: list[Match]
    reviews: int
    as_recorded: int
    other_answers: int


def replayed(
    places: Sequence[str], output_format: str, rejections: Rejections, answers: Answers | None = None
) -> Replay:
    """Replays recorded reviews.

    Args:
        places: files of reviews, folders of rakuda_judge.py, or sample.
        output_format: how the reviews write their verdict.
        rejections: takes note of lines that cannot be used, and of reviews of other answers.
        answers: only matches between these models, and about these very answers, count; None: all.

    Raises:
        InputError: nothing can be read.
    """
    recorded = {match.key: match.verdict for match in read_matches(places, Rejections(), output_format)}
    found, others = [], 0
    for match in read_matches(places, rejections, output_format, verdicts_from_reviews=True):
        if answers is not None and not _is_about(match, answers):
            if match.first in answers and match.second in answers:
                rejections.add(
                    match.question_id, None, "the review is of other answers", f"{match.first}, {match.second}"
                )
                others += 1
            continue
        found.append(match)
    read = [match for match in found if match.review]
    agreeing = sum(match.verdict == recorded[match.key] for match in read)
    return Replay(found, len(read), agreeing, others)


def _is_about(match: Match, answers: Answers) -> bool:
    for model, text in ((match.first, match.first_answer), (match.second, match.second_answer)):
        answer = answers.get(model, {}).get(match.question_id)
        if answer is None or (match.has_answers and answer.text != text):
            return False
    return True
