"""Loss against compute: a power law through the ends of several runs, and how far it can be trusted beyond them.

Each run contributes one point, its held-out loss at the end of its own cosine; points in the middle of a cosine would
lie too high. The law is L = a C^-b, a straight line in logarithms. A floor (Hoffmann et al., 2022, write L = E + ...)
is left out: it cannot be told from the slope within a factor of a hundred in compute, and without it the line errs on
the low side, which the interval does not cover. The interval is Student's prediction interval of that line, for one
new run.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from ..errors import InputError
from ..whole_files import write_figure

CONFIDENCE = 0.9


@dataclass(frozen=True)
class RunPoint:
    """A finished run.

    Attributes:
        name: for the figure.
        flops: operations of its training.
        loss: held-out, nats per token.
    """

    name: str
    flops: float
    loss: float


@dataclass(frozen=True)
class ScalingLaw:
    """L = exp(intercept) C^slope, with what its uncertainty needs.

    Attributes:
        intercept, slope: of ln L against ln C.
        points: those it was fitted to.
    """

    intercept: float
    slope: float
    points: tuple[RunPoint, ...]

    @classmethod
    def fit(cls, points: list[RunPoint]) -> "ScalingLaw":
        """By least squares in logarithms.

        Raises:
            InputError: fewer than three different computes; two points fit any line and say nothing of its error.
        """
        if len({point.flops for point in points}) < 3:
            raise InputError("a scaling law needs runs of at least three different computes")
        x, y = np.log([p.flops for p in points]), np.log([p.loss for p in points])
        slope, intercept = np.polyfit(x, y, 1)
        return cls(float(intercept), float(slope), tuple(points))

    def loss(self, flops: float) -> float:
        """The loss that the law expects."""
        return math.exp(self.intercept + self.slope * math.log(flops))

    def interval(self, flops: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """(lowest, highest) loss of a new run with this compute, with this probability if the law holds."""
        x, y = np.log([p.flops for p in self.points]), np.log([p.loss for p in self.points])
        freedom = len(x) - 2
        variance = float(((y - self.intercept - self.slope * x) ** 2).sum()) / freedom
        spread = ((x - x.mean()) ** 2).sum()
        width = math.sqrt(variance * (1 + 1 / len(x) + (math.log(flops) - x.mean()) ** 2 / spread))
        reach = float(student.ppf((1 + confidence) / 2, freedom)) * width
        centre = self.intercept + self.slope * math.log(flops)
        return math.exp(centre - reach), math.exp(centre + reach)


def draw_scaling(
    path: Path, law: ScalingLaw, curves: dict[str, list[tuple[float, float]]], checked: RunPoint | None = None
) -> Path:
    """The law, its interval, the runs' own curves, and a larger run that was not fitted to.

    Args:
        path: a PNG file.
        law: fitted.
        curves: (operations, held-out loss) along each run.
        checked: a run to compare the extrapolation with.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), dpi=140, layout="constrained")
    axes = figure.add_subplot()
    for name, curve in curves.items():
        axes.plot([c for c, _ in curve], [v for _, v in curve], color="0.75", linewidth=1)
        axes.annotate(name, curve[0], fontsize=8, color="0.4", ha="right", va="bottom")
    ends = [*law.points, *([checked] if checked else [])]
    reach = np.geomspace(min(p.flops for p in ends) / 2, 3 * max(p.flops for p in ends), 100)
    low, high = zip(*(law.interval(c) for c in reach))
    axes.fill_between(reach, low, high, color="#1f5fa8", alpha=0.12, linewidth=0)
    axes.plot(reach, [law.loss(c) for c in reach], color="#1f5fa8", linewidth=1.4,
              label=f"L ∝ C^{law.slope:.3f}, {CONFIDENCE:.0%} prediction interval")  # fmt: skip
    axes.plot([p.flops for p in law.points], [p.loss for p in law.points], "o", color="#1f5fa8", markersize=5)
    if checked:
        label = f"{checked.name}, not fitted to: {checked.loss:.3f}, expected {law.loss(checked.flops):.3f}"
        axes.plot([checked.flops], [checked.loss], "*", color="#c0392b", markersize=12, linestyle="none", label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("training compute (FLOP)")
    axes.set_ylabel("held-out loss (nats per token)")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    axes.tick_params(which="both", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, which="both")
    axes.legend(frameon=False, fontsize=9)
    return write_figure(path, figure)
