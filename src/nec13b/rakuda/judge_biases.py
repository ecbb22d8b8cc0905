"""How far a judge can be trusted: does the place of an answer or its length decide, does a swap change the verdict?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..wilson_interval import wilson_interval
from .matches import Match
from .verdicts import FIRST, POINTS, SECOND, swapped
from .win_rates import Interval


@dataclass(frozen=True)
class Share:
    """A share of some cases.

    Attributes:
        value: 0 to 1; None where there is no case.
        of: cases.
        interval: Wilson's 95% interval.
    """

    value: float | None
    of: int
    interval: Interval | None = None


@dataclass(frozen=True)
class JudgeBiases:
    """What a judge's verdicts hang on besides the answers' quality.

    Attributes:
        readable: share of reviews in which a verdict can be read.
        ties: share of ties among those.
        first_place: share of points that go to the answer that stands first; 0.5 where the place does not matter and
            every pair was judged in both orders.
        swap_consistency: of the pairs that were judged in both orders, the share whose verdict names the same answer
            both times, or a tie both times.
        swap_to_first, swap_to_second: of those pairs, the shares in which the answer that stood first (second) won
            both times, whichever it was.
        longer: of the decided comparisons, the share that the longer answer has won.
        length_ratio: geometric mean of winner's to loser's length.
    """

    readable: Share
    ties: Share
    first_place: Share
    swap_consistency: Share
    swap_to_first: Share
    swap_to_second: Share
    longer: Share
    length_ratio: float | None


def judge_biases(matches: Sequence[Match]) -> JudgeBiases:
    """The biases that show in matches, unreadable ones included."""
    readable = [match for match in matches if match.verdict in POINTS]
    by_key = {match.key: match.verdict for match in readable}
    swaps = [(match.verdict, other) for match in readable if match.first < match.second
             if (other := by_key.get((match.question_id, match.second, match.first))) is not None]  # fmt: skip
    lengths = [
        (len(match.first_answer), len(match.second_answer))[:: 1 if match.verdict == FIRST else -1]
        for match in readable if match.verdict in (FIRST, SECOND) and match.has_answers
    ]  # fmt: skip
    ratios = [math.log((1 + winner) / (1 + loser)) for winner, loser in lengths]
    unequal = [ratio for ratio in ratios if ratio]
    return JudgeBiases(
        readable=_share(len(readable), len(matches)),
        ties=_share(sum(POINTS[match.verdict] == 0.5 for match in readable), len(readable)),
        first_place=_share(sum(POINTS[match.verdict] for match in readable), len(readable)),
        swap_consistency=_share(sum(one == swapped(other) for one, other in swaps), len(swaps)),
        swap_to_first=_share(sum(one == other == FIRST for one, other in swaps), len(swaps)),
        swap_to_second=_share(sum(one == other == SECOND for one, other in swaps), len(swaps)),
        longer=_share(sum(ratio > 0 for ratio in unequal), len(unequal)),
        length_ratio=math.exp(sum(ratios) / len(ratios)) if ratios else None,
    )


def _share(cases: float, of: int) -> Share:
    return Share(cases / of, of, wilson_interval(cases, of)) if of else Share(None, 0)
