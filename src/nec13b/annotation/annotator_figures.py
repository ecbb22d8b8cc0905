"""How each person judges: how fast, whether the side of the screen sways them, and whether they keep their measure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from scipy.stats import binomtest, fisher_exact

from ..preferences.answer_pair import AnswerPair
from ..preferences.judgement import Judgement
from .agreement import choice_of
from .pair_questions import right_answer

PARTS = 5  # of a person's work, to see how it changes
SURE = 0.05  # probability under chance below which something is pointed out
FEWEST_FOR_A_PART = 3


def annotator_figures(
    pairs: Sequence[AnswerPair],
    judgements: Sequence[Judgement],
    undone: Mapping[str, int] | None = None,
    late: Mapping[str, int] | None = None,
) -> list[dict[str, Any]]:
    """A row of figures for each person, in the order of their names.

    Args:
        pairs: those that were judged, planted checks among them.
        judgements: in the order in which they were made.
        undone, late: how many judgements each took back, or made too late.

    Returns:
        Rows of `annotator`; `judged`, `skipped`, `undone`, `late`; `verdicts`; `seconds` (median); `position` (see
        `position_bias`); `checks` (see `check_drift`); `parts`: for each fifth of the work, `seconds` (median) and
        `agree`, the share that agrees with each other judge of the same pair, either None where there are too few.
    """
    checks = {pair.id: better for pair in pairs if (better := right_answer(pair))}
    by_annotator: dict[str, list[Judgement]] = defaultdict(list)
    choices: dict[str, dict[str, str]] = defaultdict(dict)
    for judgement in judgements:
        by_annotator[judgement.annotator].append(judgement)
        if choice := choice_of(judgement):
            choices[judgement.pair][judgement.annotator] = choice
    return [
        {
            "annotator": name,
            "judged": sum(each.verdict != "skipped" for each in mine),
            "skipped": sum(each.verdict == "skipped" for each in mine),
            "undone": (undone or {}).get(name, 0),
            "late": (late or {}).get(name, 0),
            "verdicts": dict(Counter(each.verdict for each in mine)),
            "seconds": _median_seconds(mine),
            "position": position_bias(mine),
            "checks": check_drift(mine, checks),
            "parts": [
                {"seconds": _median_seconds(part), "agree": _agree(part, choices, checks)} for part in _parts(mine)
            ],
        }
        for name, mine in sorted(by_annotator.items())
    ]


def position_bias(judgements: Sequence[Judgement]) -> dict[str, Any]:
    """How often the answer that stood first on the page was preferred, which chance decides half of the time.

    Returns:
        `first` of `of` judgements that prefer one; the `interval` of that share (95%, Wilson), None without any; and
        `suspect`, whether chance alone would hardly do it.
    """
    sides = [
        (each.score < 0) == (each.shown_first == "first") for each in judgements if each.score and each.shown_first
    ]
    if not sides:
        return {"first": 0, "of": 0, "interval": None, "suspect": False}
    test = binomtest(sum(sides), len(sides), 0.5)
    interval = test.proportion_ci(method="wilson")
    return {
        "first": sum(sides),
        "of": len(sides),
        "interval": [float(interval.low), float(interval.high)],
        "suspect": bool(test.pvalue < SURE),
    }


def check_drift(judgements: Sequence[Judgement], better: Mapping[str, str]) -> dict[str, Any]:
    """How somebody did on planted checks, and whether they did worse later on.

    Args:
        judgements: of one person, in order.
        better: the better answer of each check, `first` or `second`, by its pair's id.

    Returns:
        `right` of `of`; `early` and `late`, each [right, of] of the first and the second half of the checks; `cases`,
        for each check how many judgements came before it and whether it was right; `suspect`, whether chance alone
        would hardly make the second half so much worse (Fisher's exact test, one-sided).
    """
    cases = [
        (number, choice_of(each) == better[each.pair])
        for number, each in enumerate(judgements)
        if each.pair in better and each.verdict != "skipped"
    ]
    half = (len(cases) + 1) // 2
    early, late = ([sum(right for _, right in part), len(part)] for part in (cases[:half], cases[half:]))
    suspect = False
    if late[1]:
        table = [[late[0], late[1] - late[0]], [early[0], early[1] - early[0]]]
        suspect = bool(fisher_exact(table, alternative="less").pvalue < SURE)
    return {
        "right": early[0] + late[0],
        "of": len(cases),
        "early": early,
        "late": late,
        "cases": [[number, right] for number, right in cases],
        "suspect": suspect,
    }


def _parts(judgements: Sequence[Judgement]) -> list[Sequence[Judgement]]:
    ends = [round(len(judgements) * i / PARTS) for i in range(PARTS + 1)]
    return [judgements[start:end] for start, end in pairwise(ends)]


def _median_seconds(judgements: Sequence[Judgement]) -> float | None:
    seconds = [each.seconds for each in judgements if each.seconds is not None and each.verdict != "skipped"]
    return round(median(seconds), 2) if seconds else None


def _agree(
    judgements: Sequence[Judgement], choices: Mapping[str, Mapping[str, str]], checks: Mapping[str, str]
) -> float | None:
    """Of all others who judged the same pairs, the share that prefers the same; None where there are too few."""
    same = [
        choice == choices[each.pair][each.annotator]
        for each in judgements
        if each.pair not in checks and each.annotator in choices[each.pair]
        for name, choice in choices[each.pair].items()
        if name != each.annotator
    ]
    return sum(same) / len(same) if len(same) >= FEWEST_FOR_A_PART else None
