"""What a comparison of losses by position says: a table, numbers for machines, and figure 2."""

import math
from pathlib import Path

import numpy as np
import torch

from ..whole_files import write_figure
from .interpolations import INTERPOLATIONS, interpolation_named
from .position_losses import Estimate, Losses, bucket_means, estimate, paired

SHORT = "short documents"


def column_names(ranges: list[tuple[int, int]], has_short: bool) -> list[str]:
    """`16-32`, ..., and the short documents."""
    return [f"{low:,}-{high:,}" for low, high in ranges] + ([SHORT] if has_short else [])


def estimates(
    label: list[Losses], ranges: list[tuple[int, int]], against: list[Losses] | None = None,
    long: np.ndarray | None = None, short: np.ndarray | None = None,
) -> dict[str, Estimate]:  # fmt: skip
    """Loss of a label by range of positions and on short documents, or its difference from another label's.

    Args:
        label: its checkpoints, one a seed.
        ranges: of positions.
        against: the label to be compared with; negative differences are gains.
        long, short: which documents count, as booleans; None: all.
    """
    if against is not None:
        label, against = paired(label, against)
    every = slice(None)
    long, short = every if long is None else long, every if short is None else short

    def by_range(losses: list[Losses]) -> np.ndarray:
        return bucket_means(np.stack([one.long[long] for one in losses]), ranges)

    def by_document(losses: list[Losses]) -> np.ndarray:
        return np.stack([one.short[short, 0] / one.short[short, 1] for one in losses])

    means = by_range(label) - (by_range(against) if against else 0)
    tokens = label[0].short[short, 1]
    found = {name: estimate(means[..., i]) for i, name in enumerate(column_names(ranges, False))} if means.size else {}
    if len(tokens):
        found[SHORT] = estimate(by_document(label) - (by_document(against) if against else 0), tokens)
    return found


def draw_by_position(
    path: Path, labels: dict[str, list[Losses]], ranges: list[tuple[int, int]], old_window: int | None = None,
    emphasised: str = "",
) -> Path:  # fmt: skip
    """Loss against position for each label, and its difference from the first label, with 95% intervals.

    Args:
        path: a PNG file.
        labels: checkpoints by label; the first is what the others are compared with.
        ranges: of positions.
        old_window: marked by a line.
        emphasised: the label to look at, drawn in black over the others.
    """
    from matplotlib.figure import Figure

    first, *others = labels
    figure = Figure(figsize=(10.5 if others else 6, 5), dpi=140, layout="constrained")
    panels = figure.subplots(1, 2 if others else 1, squeeze=False)[0]
    middles = np.array([(low * high) ** 0.5 for low, high in ranges])
    names = column_names(ranges, False)
    for number, (label, losses) in enumerate(labels.items()):
        colour, width = ("black", 2.4) if label == emphasised else (f"C{number}", 1.3)
        line = {"color": colour, "linewidth": width, "marker": "o", "markersize": 3, "zorder": 2 + width}
        means = [estimates(losses, ranges)[name].mean for name in names]
        panels[0].plot(middles, means, label=label, **line)
        if label != first:
            differences = [estimates(losses, ranges, labels[first])[name] for name in names]
            panels[1].plot(middles, [d.mean for d in differences], label=label, **line)
            low, high = [d.low for d in differences], [d.high for d in differences]
            panels[1].fill_between(middles, low, high, color=colour, alpha=0.13, linewidth=0)
    panels[0].set_ylabel("loss (nats per token)")
    if others:
        panels[1].axhline(0, color="0.5", linewidth=1)
        panels[1].set_ylabel(f"difference from {first} (nats per token)")
    for axes in panels:
        axes.set_xscale("log", base=2)
        axes.set_xticks([low for low, _ in ranges] + [ranges[-1][1]])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("position in the document (tokens)")
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        if old_window:
            axes.axvline(old_window, color="0.6", linestyle=":", linewidth=1)
            axes.annotate("old window", (old_window, 0.02), xycoords=("data", "axes fraction"), fontsize=8, color="0.4",
                          ha="right", va="bottom", rotation=90)  # fmt: skip
    handles, texts = panels[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=min(len(texts), 5), frameon=False, fontsize=8)
    return write_figure(path, figure)


def draw_divisors(
    path: Path, window: int = 2048, factor: float = 4.0, head_dim: int = 128, theta: float = 10000.0
) -> Path:
    """By how much each method divides each frequency, against how often it turns within the old window.

    Args:
        path: a PNG file.
        window, factor: the old window, in tokens, and how often the new one holds it.
        head_dim, theta: of the rotary embeddings; all of them have the 13B model's values by default.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.2), dpi=140, layout="constrained")
    axes = figure.add_subplot()
    frequencies = 1.0 / theta ** (torch.arange(0, head_dim, 2, dtype=torch.float) / head_dim)
    turns = (window * frequencies / (2 * math.pi)).numpy()
    axes.axvspan(turns.min() / 1.5, 1, color="0.5", alpha=0.1, linewidth=0)
    axes.text(turns.min(), 1.06, "not all angles seen\nin the old window", va="bottom", fontsize=8, color="0.4")
    for name in INTERPOLATIONS:
        divisors = interpolation_named(name, factor, window).divisors(frequencies).numpy()
        axes.plot(turns, divisors, marker="o", markersize=2.5, linewidth=2 if name == "own" else 1, label=name,
                  zorder=3 if name == "own" else 2)  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel(f"full turns within the old window of {window:,} tokens (fast frequencies on the right)")
    axes.set_ylabel("divided by")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=9)
    return write_figure(path, figure)
