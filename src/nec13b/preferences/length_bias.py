"""How far the length of an answer alone tells which one is preferred.

People, and models that judge in their place, tend to prefer longer answers, and DPO learns that first. A data set in
which "the longer one wins" is right far more often than half teaches length, whatever else it teaches; and a model's
preference accuracy says little as long as it is not above that of this rule.
"""

from collections import Counter, defaultdict
from typing import Any

from ..wilson_interval import wilson_interval

# The ratio of the two lengths, in columns from "chosen is less than a quarter as long" on.
RATIOS = (0.25, 0.5, 0.8, 1.25, 2.0, 4.0)
RATIO_LABELS = ("under ¼", "¼ to ½", "½ to 0.8", "about equal", "1.25 to 2", "2 to 4", "over 4")


class LengthBias:
    """Counts the lengths of answers, in characters."""

    def __init__(self):
        self.pairs = self.longer = self.equal = self.chosen = self.rejected = 0
        self.ratios: Counter[str] = Counter()
        # Pairs of one prompt are alike, so they count together: [pairs, pairs in which the longer answer is chosen].
        self._by_prompt: dict[str, list[float]] = defaultdict(lambda: [0, 0.0])

    def add(self, prompt_key: str, chosen: int, rejected: int) -> None:
        """Counts a pair.

        Args:
            prompt_key: tells prompts apart.
            chosen, rejected: characters of the answers.
        """
        self.pairs += 1
        self.longer += chosen > rejected
        self.equal += chosen == rejected
        self.chosen += chosen
        self.rejected += rejected
        ratio = (chosen + 1) / (rejected + 1)
        self.ratios[RATIO_LABELS[sum(ratio >= edge for edge in RATIOS)]] += 1
        counts = self._by_prompt[prompt_key]
        counts[0] += 1
        counts[1] += 1.0 if chosen > rejected else 0.5 if chosen == rejected else 0.0

    @property
    def prompts(self) -> int:
        """How many different prompts there are."""
        return len(self._by_prompt)

    def report(self) -> dict[str, Any]:
        """The figures: shares from 0 to 1, lengths in characters.

        `longer_wins` is the accuracy of choosing the longer answer, half a hit where both are equally long, with its
        95% interval; `shorter_wins` is the opposite rule.
        """
        share, low, high = share_with_interval(list(self._by_prompt.values()))
        pairs = max(1, self.pairs)
        return {
            "pairs": self.pairs,
            "prompts": self.prompts,
            "longer_chosen": self.longer / pairs,
            "equally_long": self.equal / pairs,
            "mean_chosen": self.chosen / pairs,
            "mean_rejected": self.rejected / pairs,
            "mean_difference": (self.chosen - self.rejected) / pairs,
            "longer_wins": {"accuracy": share, "low": low, "high": high},
            "shorter_wins": {"accuracy": 1 - share, "low": 1 - high, "high": 1 - low},
        }


def share_with_interval(clusters: list[list[float]]) -> tuple[float, float, float]:
    """A share with its 95% interval, from clusters of observations that are not independent.

    Wilson's interval at the effective number of observations: that at which the share, drawn independently, would vary
    as it does between the clusters. Where it does not vary, each cluster counts for one.

    Args:
        clusters: (observations, hits) of each.

    Returns:
        (share, low, high); (0.5, 0, 1) where there is nothing.
    """
    pairs, hits = (sum(column) for column in zip(*clusters)) if clusters else (0, 0)
    if not pairs:
        return 0.5, 0.0, 1.0
    share, number = hits / pairs, len(clusters)
    effective = float(number)
    if number > 1:
        spread = sum((hit - share * n) ** 2 for n, hit in clusters) * number / (number - 1) / pairs**2
        if spread > 0:
            effective = min(pairs, max(1.0, share * (1 - share) / spread))
    return share, *wilson_interval(share * effective, effective)
