"""The loss curve of a run."""

import math
from pathlib import Path

from ..whole_files import write_figure

COLOURS = {"ja": "#c0392b", "en": "#1f5fa8", "code": "#2e8b57"}


def held_out_curves(log_history: list[dict]) -> dict[str, list[tuple[int, float]]]:
    """(step, loss) of each domain's evaluations, in order of the steps."""
    curves: dict[str, dict[int, float]] = {}
    for row in log_history:
        for name, value in row.items():
            if name.startswith("eval_") and name.endswith("_loss"):
                curves.setdefault(name[5:-5], {})[row["step"]] = value
    return {domain: sorted(points.items()) for domain, points in curves.items()}


def draw_loss_curve(
    path: Path,
    log_history: list[dict],
    tokens_per_batch: int | None = None,
    vocab_size: int | None = None,
    unit: str = "loss (nats per token)",
) -> Path:
    """Training and held-out loss against tokens seen, or steps.

    Args:
        path: a PNG file.
        log_history: what Trainer logged.
        tokens_per_batch: tokens in a step; None counts steps.
        vocab_size: tokens of the vocabulary, to mark the loss of a uniform guess where the run began near it; None
            leaves that out.
        unit: what the loss is called.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), dpi=140, layout="constrained")
    axes = figure.add_subplot()
    points = [(row["step"], row["loss"]) for row in log_history if "loss" in row]
    last = max((row["step"] for row in log_history), default=1)
    scale, many = (1e9, "billion") if last * (tokens_per_batch or 1) >= 1e9 else (1e6, "million")

    def place(step):
        return step * tokens_per_batch / scale if tokens_per_batch else step

    held_out = held_out_curves(log_history)
    highest = max([v for _, v in points] + [v for curve in held_out.values() for _, v in curve], default=0)
    if vocab_size and highest > 0.9 * math.log(vocab_size):  # a model that goes on would shrink to a flat line below
        axes.axhline(math.log(vocab_size), color="0.6", linestyle=":", linewidth=1)
        label = f"uniform guess, ln {vocab_size:,}"
        axes.text(place(last), math.log(vocab_size), label, ha="right", va="bottom", color="0.4", fontsize=8)
    if points:
        axes.plot([place(s) for s, _ in points], [v for _, v in points], color="0.72", linewidth=0.8, label="training")
    for domain, curve in sorted(held_out.items()):
        axes.plot(
            [place(s) for s, _ in curve], [v for _, v in curve],
            color=COLOURS.get(domain), marker="o", markersize=3, linewidth=1.6,
            label=f"held-out {domain}, {curve[-1][1]:.2f} at the end",
        )  # fmt: skip
    axes.set_xlabel(f"tokens seen ({many})" if tokens_per_batch else "optimizer steps")
    axes.set_ylabel(unit)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return write_figure(path, figure)
