"""The card of a quality classifier: a page for people that says what it learned from and how far it can be trusted."""

from collections import Counter
from pathlib import Path

from .quality import CLEAN
from .quality_training import Example, TrainQualityConfig

# What the card holds for good: below these it names the kind among the limits.
GOOD_AREA, GOOD_UNSEEN_AREA, GOOD_SHARE = 0.99, 0.95, 0.95


def write_readme(
    path: Path, config: TrainQualityConfig, examples: list[Example], threshold: float, metrics: dict
) -> None:
    """Writes the card as Markdown.

    Args:
        path: the file.
        config: the settings of the training.
        examples: all examples, held out or not.
        threshold: below which a text is rejected.
        metrics: from `quality_evaluation.evaluation`.
    """
    sources: dict[tuple[str, str, bool], int] = Counter(
        (example.kind, example.source, example.held_out)
        for example in examples
        if example.kind == CLEAN or example.kind not in config.dirtied_kinds
    )
    dirtied = Counter((example.kind, example.held_out) for example in examples if example.kind in config.dirtied_kinds)
    held_out = metrics["held_out_documents"]
    lines = [
        f"# Quality classifier for domain `{config.domain}`",
        "",
        "A fastText classifier of clean against dirty text over n-grams of characters. It gives the probability that a",
        f"text is clean; texts below **{threshold:g}** are rejected. That threshold was chosen for a precision of "
        f"{config.wanted_precision:g}",
        f"on clean text, if {config.expected_dirty_share:.0%} of the documents that the rules let through are dirty.",
        "",
        "![Reliability, ROC curves, scores](quality.png)",
        "",
        "Half of the held-out documents chose the threshold. On the other half "
        f"({held_out['clean']:,} clean, {held_out['dirty']:,} dirty)",
        f"the mean ROC-AUC over the kinds of dirt is **{metrics['roc_auc']:.4f}**;",
        f"at the threshold, of what the rules let through, precision is {metrics['precision']:.3f} and recall "
        f"{metrics['recall']:.3f}.",
        "",
        "## By kind of dirt",
        "",
        "Shares of the held-out documents of each kind that are rejected, and the area under the ROC curve of the",
        "classifier alone.",
        "",
    ]
    left_out = metrics.get("left_out", {})
    lines += _table(
        ["kind", "documents", "ROC-AUC", "rules", "classifier", "together",
         *(["ROC-AUC, kind never seen", "together, kind never seen"] if left_out else [])],
        [
            [kind, f"{row['documents']:,}", f"{metrics['roc_auc_by_kind'][kind]:.4f}",
             f"{row['rules']:.1%}", f"{row['classifier']:.1%}", f"{row['together']:.1%}",
             *([f"{left_out[kind]['roc_auc']:.4f}", f"{left_out[kind]['together']:.1%}"] if left_out else [])]
            for kind, row in metrics["dirty_rejected_by_kind"].items()
        ],
    )  # fmt: skip
    lines += ["", "## Clean text kept, by held-out source", ""]
    lines += _table(
        ["source", "rules and classifier keep"],
        [[source, f"{share:.1%}"] for source, share in metrics["clean_kept_by_source"].items()],
    )
    lines += ["", "## What it learned from", ""]
    lines += _table(
        ["kind", "source", "documents", "used for"],
        [
            [kind, source, f"{count:,}", "evaluation" if held_out else "training"]
            for (kind, source, held_out), count in sorted(sources.items())
        ],
    )
    if dirtied:
        lines += ["", "Clean text made dirty:", ""]
        lines += _table(
            ["kind", "training", "evaluation"],
            [[kind, f"{dirtied[kind, False]:,}", f"{dirtied[kind, True]:,}"] for kind in config.dirtied_kinds],
        )
    lines += [
        "",
        "## Limits",
        "",
        *_weaknesses(metrics),
        "It sees characters, their n-grams and the layout, not sense: fluent nonsense, and whole sentences in the",
        "wrong order, look clean to it. What it has not learned from (see the kinds above) it may miss, and clean text",
        "of a sort that none of its sources resembles it may reject; look at the report of the cleansing before you",
        "trust it with a new source.",
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")


def _weaknesses(metrics: dict) -> list[str]:
    """Where it fails, in words."""
    weak = [f"{kind} ({area:.3f})" for kind, area in metrics["roc_auc_by_kind"].items() if area < GOOD_AREA]
    passing = [
        f"{kind} ({1 - row['together']:.0%})" for kind, row in metrics["dirty_rejected_by_kind"].items()
        if row["together"] < GOOD_SHARE
    ]  # fmt: skip
    unseen = [
        f"{kind} ({row['roc_auc']:.3f})" for kind, row in metrics.get("left_out", {}).items()
        if row["roc_auc"] < GOOD_UNSEEN_AREA
    ]  # fmt: skip
    lines = []
    for said, what in (
        (f"Kinds that it has seen and still tells from clean text with an area below {GOOD_AREA:g}: ", weak),
        (f"Kinds of which more than {1 - GOOD_SHARE:.0%} pass rules and classifier: ", passing),
        (f"Kinds that it finds with an area below {GOOD_UNSEEN_AREA:g} when it has never seen them: ", unseen),
    ):
        if what:
            lines += [said + ", ".join(what) + ".", ""]
    return lines


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
