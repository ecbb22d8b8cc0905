"""Making a learned filter, and how good it is on text it has not seen: ROC, precision, recall, by kind and source."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from ..whole_files import write_figure
from .dirtying import KINDS
from .quality import CLEAN, MODEL_NAME, QualityClassifier, write_card
from .quality_training import Example, TrainQualityConfig, train_classifier
from .rules import RuleSet, load_rule_sets

BINS = 10


@dataclass
class Scored:
    """The held-out examples with what rules and classifier say of them; arrays of one length.

    Attributes:
        kinds: `clean` or the sort of dirt.
        sources: `label/site`.
        scores: probability of being clean, 0 to 1.
        passed: whether the rules keep the text.
        chooses: whether it is in the half by which the threshold is chosen; the other half says how good that is.
    """

    kinds: np.ndarray
    sources: np.ndarray
    scores: np.ndarray
    passed: np.ndarray
    chooses: np.ndarray

    def where(self, wanted: np.ndarray) -> "Scored":
        """Those for which `wanted` (bool, one for each) holds."""
        return Scored(**{name: values[wanted] for name, values in vars(self).items()})

    @property
    def is_clean(self) -> np.ndarray:
        return self.kinds == CLEAN

    def dirty_kinds(self) -> list[str]:
        """The kinds of dirt, in order."""
        return sorted(map(str, set(self.kinds[~self.is_clean])))

    @property
    def is_real_dirt(self) -> np.ndarray:
        """Which examples were dirty as they came; where none was, those that were made dirty stand in for them."""
        real = ~self.is_clean & ~np.isin(self.kinds, list(KINDS))
        return real if real.any() else ~self.is_clean


@dataclass
class Classified:
    """A classifier that has been trained and tested.

    Attributes:
        threshold: for the wanted precision.
        scored: the held-out examples that did not choose the threshold.
        metrics: from `evaluation`, and where kinds were left out `left_out`, by kind.
    """

    threshold: float
    scored: Scored
    metrics: dict


def make_classifier(
    examples: list[Example], config: TrainQualityConfig, rules: RuleSet | None, folder: Path
) -> Classified:
    """Trains a classifier into a folder, chooses its threshold and says how good it is; the card comes last."""
    scored = _trained(examples, config, rules, folder)
    threshold = threshold_for(scored.where(scored.chooses), config.wanted_precision, config.expected_dirty_share)
    metrics = evaluation(scored, threshold, config.expected_dirty_share)
    if config.leave_kinds_out:
        metrics["left_out"] = {kind: left_out(examples, config, rules, kind) for kind in scored.dirty_kinds()}
    card = {"domain": config.domain, "keep_words": config.keep_words, "threshold": threshold,
            "wanted_precision": config.wanted_precision, "metrics": metrics}  # fmt: skip
    write_card(folder, card)
    return Classified(threshold, scored.where(~scored.chooses), metrics)


def left_out(examples: list[Example], config: TrainQualityConfig, rules: RuleSet | None, kind: str) -> dict[str, float]:
    """How well a classifier that has seen nothing of a kind of dirt, in training or for its threshold, finds it.

    Returns:
        `roc_auc`, and `together`, the share of the kind that rules and classifier reject.
    """
    with tempfile.TemporaryDirectory() as folder:
        scored = _trained(examples, config, rules, Path(folder), without=kind)
    others = scored.where(scored.chooses & (scored.kinds != kind))
    threshold = threshold_for(others, config.wanted_precision, config.expected_dirty_share)
    kept = (scored.scores >= threshold) & scored.passed
    return {"roc_auc": round(auc_by_kind(scored)[kind], 4), "together": _share(~kept[scored.kinds == kind])}


def _trained(
    examples: list[Example], config: TrainQualityConfig, rules: RuleSet | None, folder: Path, without: str = ""
) -> Scored:
    """The held-out examples, scored by a classifier that is trained on the others."""
    train_classifier(examples, config, folder / MODEL_NAME, without)
    return score_held_out(
        examples, QualityClassifier(folder, {"threshold": 0.5, "keep_words": config.keep_words}), rules
    )


def score_held_out(examples: list[Example], classifier: QualityClassifier, rules: RuleSet | None) -> Scored:
    """Scores the held-out examples; without rules all of them pass."""
    held_out = [example for example in examples if example.held_out]
    return Scored(
        np.array([example.kind for example in held_out]),
        np.array([example.source for example in held_out]),
        np.array([classifier.clean_probability(example.text) for example in held_out]),
        np.array([rules is None or rules.first_broken(example.text) is None for example in held_out]),
        np.array([hashlib.sha1(example.text.encode()).digest()[0] % 2 == 0 for example in held_out]),
    )


def rules_of(config: TrainQualityConfig) -> RuleSet | None:
    """The rules that come before the classifier in this domain, if there are any; raises InputError."""
    return load_rule_sets(config.rules).get(config.domain)


def auc_by_kind(scored: Scored) -> dict[str, float]:
    """Area under the ROC curve of each kind of dirt against all clean text, whether or not the rules keep it."""
    clean = scored.is_clean
    areas = {}
    for kind in scored.dirty_kinds():
        chosen = clean | (scored.kinds == kind)
        areas[kind] = float(roc_auc_score(clean[chosen], scored.scores[chosen]))
    return areas


def kept_shares(scored: Scored, threshold: float) -> tuple[float, float]:
    """Which shares of clean and of really dirty text the classifier keeps, of what the rules let through.

    Every source of clean text and every kind of dirt counts alike, however many documents it has.

    Returns:
        (share of clean text, share of dirty text), 0 to 1; 0 where the rules let nothing through.
    """
    kept = scored.scores >= threshold
    shares = []
    for groups, members in ((scored.sources, scored.is_clean), (scored.kinds, scored.is_real_dirt)):
        reach = members & scored.passed
        each = [kept[reach & (groups == group)].mean() for group in sorted(set(groups[reach]))]
        shares.append(float(np.mean(each)) if each else 0.0)
    return shares[0], shares[1]


def precision_at(scored: Scored, threshold: float, dirty_share: float) -> float:
    """Share of clean text in what is kept, if `dirty_share` (0 to 1) of what reaches the classifier is dirty."""
    clean, dirty = kept_shares(scored, threshold)
    kept = (1 - dirty_share) * clean + dirty_share * dirty
    return (1 - dirty_share) * clean / kept if kept else 0.0


def threshold_for(scored: Scored, wanted_precision: float, dirty_share: float) -> float:
    """The lowest threshold from which on the precision is as wanted; the one of the highest precision if none is."""
    candidates = np.unique(np.append(np.round(np.linspace(0.01, 0.99, 99), 2), 0.995))
    precisions = np.array([precision_at(scored, threshold, dirty_share) for threshold in candidates])
    enough = precisions >= wanted_precision
    if not enough[-1]:
        return float(candidates[int(precisions.argmax())])
    below = np.flatnonzero(~enough)
    return float(candidates[below[-1] + 1 if len(below) else 0])


def evaluation(scored: Scored, threshold: float, dirty_share: float) -> dict:
    """Everything that the card of a classifier says of it, in JSON's types; of the half that did not choose."""
    scored = scored.where(~scored.chooses)
    clean, kept = scored.is_clean, scored.scores >= threshold
    clean_share, dirty_kept = kept_shares(scored, threshold)
    areas = auc_by_kind(scored)
    return {
        "held_out_documents": {"clean": int(clean.sum()), "dirty": int((~clean).sum())},
        "roc_auc": round(float(np.mean(list(areas.values()))), 4),
        "roc_auc_by_kind": {kind: round(area, 4) for kind, area in areas.items()},
        "precision": round(precision_at(scored, threshold, dirty_share), 4),
        "recall": round(clean_share, 4),
        "dirty_kept": round(dirty_kept, 4),
        "clean_kept_by_source": {
            source: _share((kept & scored.passed)[clean & (scored.sources == source)])
            for source in sorted(map(str, set(scored.sources[clean])))
        },
        "dirty_rejected_by_kind": {
            kind: {
                "documents": int((scored.kinds == kind).sum()),
                "rules": _share(~scored.passed[scored.kinds == kind]),
                "classifier": _share(~kept[scored.kinds == kind]),
                "together": _share(~(kept & scored.passed)[scored.kinds == kind]),
            }
            for kind in scored.dirty_kinds()
        },
    }


def _share(flags: np.ndarray) -> float:
    return round(float(flags.mean()), 4) if len(flags) else 0.0


def reliability(scored: Scored) -> list[tuple[float, float, int]]:
    """(mean probability, share that is clean, documents) in ten bins of the probability; empty bins are left out.

    Clean and dirty text weigh the same in all, as they did in training.
    """
    clean = scored.is_clean
    weights = np.where(clean, 0.5 / max(1, clean.sum()), 0.5 / max(1, (~clean).sum()))
    bins = np.minimum((scored.scores * BINS).astype(int), BINS - 1)
    points = []
    for index in range(BINS):
        chosen = bins == index
        if chosen.any():
            share = weights[chosen & clean].sum() / weights[chosen].sum()
            mean = np.average(scored.scores[chosen], weights=weights[chosen])
            points.append((float(mean), float(share), int(chosen.sum())))
    return points


def draw_quality(path: Path, scored: Scored, threshold: float) -> None:
    """Reliability plot, ROC curves by kind, and the distribution of the scores, beside each other."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.2), dpi=130, layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    points = reliability(scored)
    left.plot([0, 1], [0, 1], color="0.7", linestyle=":", linewidth=1)
    left.plot([x for x, _, _ in points], [y for _, y, _ in points], marker="o", color="#1f5fa8")
    for x, y, count in points:
        left.annotate(f"{count:,}", (x, y), textcoords="offset points", xytext=(4, -10), fontsize=7, color="0.4")
    left.set(title="Reliability (documents in each bin)", xlabel="probability of being clean", ylabel="share clean")

    clean = scored.is_clean
    middle.set_prop_cycle(color=colormaps["tab20"].colors)
    for kind, area in auc_by_kind(scored).items():
        chosen = clean | (scored.kinds == kind)
        false, true, _ = roc_curve(clean[chosen], scored.scores[chosen])
        middle.plot(false, true, linewidth=1.2, label=f"{kind} {area:.3f}")
    middle.set(title="ROC by kind of dirt (area)", xlabel="dirty text kept", ylabel="clean text kept")
    middle.legend(frameon=False, fontsize=7, loc="lower right")

    edges = np.linspace(0, 1, 41)
    for name, chosen, colour in (("clean", clean, "#2e8b57"), ("dirty", ~clean, "#c0392b")):
        right.hist(scored.scores[chosen], edges, color=colour, alpha=0.6, label=name)
    right.axvline(threshold, color="0.3", linestyle="--", linewidth=1)
    right.annotate(f" threshold {threshold:g}", (threshold, right.get_ylim()[1] * 0.95), fontsize=8, color="0.3")
    right.set(title="Scores of held-out documents", xlabel="probability of being clean", ylabel="documents")
    right.set_yscale("log")
    right.legend(frameon=False)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    write_figure(path, figure)
