"""How an alignment went, in one picture: margin, accuracy, KL and length against steps."""

from pathlib import Path

from ..pretraining.figures import COLOURS
from ..whole_files import write_figure
from .hacking_signs import evaluations

TRAINING, HELD_OUT = "0.72", COLOURS["en"]
PANELS = (  # (title, what training logs, what evaluation logs, as a share)
    ("reward margin", "rewards/margins", "held_out_margin", False),
    ("accuracy: chosen above rejected", "rewards/accuracies", "held_out_accuracy", True),
    ("KL to the reference (nats a token)", None, "kl", False),
    ("tokens of own answers", None, "length", False),
)


def draw_alignment(path: Path, log_history: list[dict]) -> Path:
    """Four panels; one that has nothing to show says so.

    Args:
        path: a PNG file.
        log_history: what Trainer logged.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(9, 6), dpi=140, layout="constrained")
    rows = evaluations(log_history)
    for axes, (title, trained, held_out, is_share) in zip(figure.subplots(2, 2).flat, PANELS):
        training = [(row["step"], row[trained]) for row in log_history if trained in row] if trained else []
        curve = [(row["step"], row[held_out]) for row in rows if held_out in row]
        if training:
            axes.plot(*zip(*training), color=TRAINING, linewidth=0.8, label="training")
        if curve:
            label = f"{curve[-1][1]:.1%}" if is_share else f"{curve[-1][1]:.3g}"
            axes.plot(*zip(*curve), color=HELD_OUT, marker="o", markersize=3, label=f"held out, {label} at the end")
        if held_out == "kl" and curve:
            errors = [row["kl_error"] for row in rows if held_out in row]
            axes.errorbar(*zip(*curve), yerr=errors, color=HELD_OUT, linewidth=0.8, capsize=2)
        if is_share:
            axes.axhline(0.5, color="0.6", linestyle=":", linewidth=1)
            axes.yaxis.set_major_formatter(PercentFormatter(1))
        if training or curve:
            axes.legend(frameon=False, fontsize=8)
        else:
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color="0.4")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("optimizer steps")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    return write_figure(path, figure)
