"""The card of a quality classifier: a page for people that says what it learned from and how far it can be trusted."""

from collections import Counter
from pathlib import Path

from .quality import CLEAN
from .quality_training import Example, TrainQualityConfig


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
        ("clean" if example.kind == CLEAN else example.kind, example.source, example.held_out)
        for example in examples
        if example.kind == CLEAN or example.kind not in config.dirtied_kinds
    )
    dirtied = Counter((example.kind, example.held_out) for example in examples if example.kind in config.dirtied_kinds)
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
        f"On held-out documents ({metrics['held_out_documents']['clean']:,} clean, "
        f"{metrics['held_out_documents']['dirty']:,} dirty) the mean ROC-AUC over the kinds of dirt is "
        f"**{metrics['roc_auc']:.4f}**;",
        f"at the threshold, of what the rules let through, precision is {metrics['precision']:.3f} and recall "
        f"{metrics['recall']:.3f}.",
        "",
        "## By kind of dirt",
        "",
        "Shares of the held-out documents of each kind that are rejected, and the area under the ROC curve of the",
        "classifier alone.",
        "",
    ]
    left_out = metrics.get("roc_auc_left_out", {})
    lines += _table(
        ["kind", "documents", "ROC-AUC", *(["ROC-AUC, kind left out"] if left_out else []), "rules", "classifier",
         "together"],
        [
            [kind, f"{row['documents']:,}", f"{metrics['roc_auc_by_kind'][kind]:.4f}",
             *([f"{left_out[kind]:.4f}"] if left_out else []),
             f"{row['rules']:.1%}", f"{row['classifier']:.1%}", f"{row['together']:.1%}"]
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
        "It sees characters, their n-grams and the layout, not sense: fluent nonsense, and whole sentences in the",
        "wrong order, look clean to it. What it has not learned from (see the kinds above) it may miss, and clean text",
        "of a sort that none of its sources resembles it may reject; look at the report of the cleansing before you",
        "trust it with a new source.",
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
