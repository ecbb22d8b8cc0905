"""Figure 3 of the paper: scores of models on JSQuAD and JCommonsenseQA as bars, here with 95% intervals."""

from pathlib import Path

from ..japanese_font import NO_FONT_NOTE, is_wide, japanese_labels
from ..whole_files import write_figure
from .summary import NAMES

CHANCE = {"acc": 20.0}  # percent: one of five choices


def draw_scores(path: Path, tasks: dict[str, dict]) -> Path:
    """Draws the first metric of each task, a bar a model.

    Args:
        path: a PNG file.
        tasks: from `summaries`.
    """
    from matplotlib.figure import Figure

    labels = list(dict.fromkeys(label for found in tasks.values() for label in found["models"]))
    with japanese_labels() as has_font:
        shown = labels if has_font else [f"model {i}" if is_wide(label) else label for i, label in enumerate(labels, 1)]
        each = 1.2 + 0.55 * len(labels)
        figure = Figure(figsize=(max(4.5, len(tasks) * each), 4.2), dpi=140, layout="constrained")
        for axes, (task, found) in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks.items()):
            metric, protocol = found["metrics"][0], found["protocol"]
            for place, label in enumerate(labels):
                if label not in found["models"]:
                    continue
                score = found["models"][label]["scores"][metric]
                below, above = score["mean"] - score["low"], score["high"] - score["mean"]
                axes.bar(place, score["mean"], 0.7, color=f"C{place % 10}", alpha=0.85)
                axes.errorbar(place, score["mean"], [[max(below, 0)], [max(above, 0)]], color="0.2", capsize=3, lw=1)
                axes.annotate(f"{score['mean']:.1f}", (place, score["high"]), xytext=(0, 3), fontsize=8,
                              textcoords="offset points", ha="center", color="0.2")  # fmt: skip
            if metric in CHANCE:
                axes.axhline(CHANCE[metric], color="0.5", linestyle=":", linewidth=1)
                axes.annotate("chance", (1.01, CHANCE[metric]), xycoords=("axes fraction", "data"), fontsize=8,
                              color="0.4", va="center")  # fmt: skip
            axes.set_title(f"{task}\n{protocol['shots']} examples, prompt {protocol['prompt']}", fontsize=9)
            axes.set_ylabel(f"{NAMES[metric]} (%)")
            axes.set_xticks(range(len(labels)), shown, rotation=30 if len(labels) > 3 else 0, fontsize=8)
            axes.set_xlim(-0.6, len(labels) - 0.4)
            axes.set_ylim(
                0, min(108, max(30, 1.15 * max(m["scores"][metric]["high"] for m in found["models"].values())))
            )
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.25, axis="y")
            axes.set_axisbelow(True)
        if shown != labels:
            figure.supxlabel(NO_FONT_NOTE, fontsize=7, color="0.4")
        return write_figure(path, figure)
