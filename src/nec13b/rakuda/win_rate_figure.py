"""Figure 4 of the paper: win rates on Rakuda, with intervals, and beside them who wins against whom."""

from pathlib import Path
from typing import Any

import numpy as np

from ..japanese_font import NO_FONT_NOTE, columns_of, is_wide, japanese_labels
from ..whole_files import write_figure

LONGEST_NAME = 42  # columns of a label
MOST_IN_TABLE = 12  # models up to which shares are written into the table


def draw_win_rates(path: Path, results: dict[str, Any]) -> Path:
    """Each model's win rate against all others (a tie is half a win) with its 95% interval, and the table of pairs.

    Args:
        path: a PNG file.
        results: of `tournament_results`.
    """
    from matplotlib.figure import Figure

    models = sorted(results["models"], key=lambda name: results["models"][name]["win_rate"]["value"])
    rates = [results["models"][name]["win_rate"] for name in models]
    values = np.array([rate["value"] for rate in rates])
    ends = np.array([rate["bootstrap"] or rate["wilson"] for rate in rates])
    with japanese_labels() as japanese:
        ranks = range(len(models), 0, -1)
        names = [f"{shown_name(name, rank, japanese)}   {rank}" for rank, name in zip(ranks, models)]
        widest = max(map(columns_of, names))
        height = 1.7 + 0.36 * len(models)
        figure = Figure(figsize=(6.4 + 0.14 * widest + 0.3 * len(models), height), dpi=140, layout="constrained")
        bars, table = figure.subplots(1, 2, width_ratios=[4.2, 1.2 + 0.42 * len(models)])
        rows = np.arange(len(models))
        bars.barh(rows, values, color="#1f5fa8", alpha=0.85, height=0.62)
        spread = np.abs(ends.T - values)
        bars.errorbar(values, rows, xerr=spread, fmt="none", ecolor="#1d2733", elinewidth=1.2, capsize=3)
        for row, (value, (_, high)) in enumerate(zip(values, ends)):
            place = (max(high, value), row)
            bars.annotate(f"{value:.0%}", place, xytext=(5, 0), textcoords="offset points", va="center", fontsize=8)
        bars.axvline(0.5, color="0.6", linestyle=":", linewidth=1)
        bars.set_yticks(rows, names, fontsize=9)
        bars.set_xlim(0, 1.12)
        bars.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])
        bars.set_xlabel("win rate against the others (a tie is half)")
        bars.spines[["top", "right"]].set_visible(False)
        bars.grid(axis="x", alpha=0.25)
        bars.set_axisbelow(True)
        _draw_table(table, results, models)
        said = f"{results['matches']:,} comparisons on {results['questions']} questions; bars: 95% over questions"
        if not japanese and any(map(is_wide, models)):
            said += f"\n{NO_FONT_NOTE}"
        figure.supxlabel(said, fontsize=8, color="0.4")
        return write_figure(path, figure)


def shown_name(name: str, rank: int, japanese: bool) -> str:
    """A model's name for a label: its end, if it is long; `model 3` where its characters cannot be drawn."""
    if is_wide(name) and not japanese:
        return f"model {rank}"
    if columns_of(name) > LONGEST_NAME:
        name = name.rpartition("/")[2]  # without the owner
    while columns_of(name) > LONGEST_NAME:
        name = "…" + name.lstrip("…")[1:]
    return name.replace("$", r"\$")  # would begin a formula


def _draw_table(axes, results: dict[str, Any], models: list[str]) -> None:
    """The win rate of each row's model against each column's; the columns run from the best model."""
    place = {name: i for i, name in enumerate(models)}
    shares = np.full((len(models), len(models)), np.nan)
    for pair in results["pairs"]:
        shares[place[pair["model"]], len(models) - 1 - place[pair["opponent"]]] = pair["win_rate"]["value"]
    axes.imshow(
        np.ma.masked_invalid(shares), cmap="RdBu", vmin=-0.25, vmax=1.25, aspect="auto", origin="lower", alpha=0.85
    )
    if len(models) <= MOST_IN_TABLE:
        for (row, column), share in np.ndenumerate(shares):
            if not np.isnan(share):
                axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=8, color="#1d2733")
    ranks = np.arange(len(models), 0, -1)
    axes.set_yticks(range(len(models)), ranks, fontsize=8)
    axes.set_xticks(range(len(models)), ranks[::-1], fontsize=8)
    axes.set_xlabel("win rate (%) of the row against the column,\nnumbered from the best", fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
