"""What one person said of one pair of answers, in a file of a judgement a line (`judgements.jsonl`)."""

from dataclasses import dataclass
from typing import Any

# From the first answer clearly better to the second one; then those that prefer neither.
SCALE = ("first_better", "first_slightly_better", "tie", "second_slightly_better", "second_better")
VERDICTS = (*SCALE, "both_bad", "skipped")
REASONS = ("harmful", "wrong", "unhelpful", "unnatural")  # why the worse answer is worse, or both are bad


@dataclass(frozen=True)
class Judgement:
    """One verdict.

    Attributes:
        pair: id of the `AnswerPair`.
        annotator: who judged, as they are called in the data.
        verdict: one of VERDICTS; `first` and `second` are those of the pair, however they stood on the screen.
        reasons: some of REASONS.
        edited: the better answer as the annotator mended it; empty where it stands as it was.
        comment: what else was said.
        shown_first: which answer stood on the left or on top: `first` or `second`.
        seconds: how long it took.
        time: when, ISO 8601 in UTC.
    """

    pair: str
    annotator: str
    verdict: str
    reasons: tuple[str, ...] = ()
    edited: str = ""
    comment: str = ""
    shown_first: str = ""
    seconds: float | None = None
    time: str = ""

    @property
    def score(self) -> int | None:
        """From -2, the first answer is clearly better, to 2, the second one is; None where neither is preferred nor
        compared (`both_bad`, `skipped`)."""
        return SCALE.index(self.verdict) - 2 if self.verdict in SCALE else None

    def to_row(self) -> dict[str, Any]:
        """As a line of JSONL holds it; empty fields are left out."""
        row = {"pair": self.pair, "annotator": self.annotator, "verdict": self.verdict, "reasons": list(self.reasons),
               "edited": self.edited, "comment": self.comment, "shown_first": self.shown_first,
               "seconds": self.seconds, "time": self.time}  # fmt: skip
        return {name: value for name, value in row.items() if value not in ("", [], None)}
