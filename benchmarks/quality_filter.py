"""How good rules and learned filter are on whole sources, and on kinds of dirt, that they have not seen.

python benchmarks/quality_filter.py --clean books.jsonl.gz wiki.jsonl.gz docs.jsonl.gz --dirty noisy.jsonl.gz \\
    --fold "docs/rurema,docs/react-ja" --fold "docs/cpprefjp,books/*"

For each fold a classifier is trained without the sources named (LABEL/SITE, * and ? allowed) and without a quarter of
the dirty documents; what was held out is then filtered. In the first fold, each kind of dirt is also left out of
training in turn. Writes a section of RESULTS.md.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from results import machine, table, write_section
from sklearn.metrics import roc_auc_score

from nec13b.corpus.dirtying import KINDS
from nec13b.corpus.quality_evaluation import Scored, auc_by_kind, make_classifier, rules_of
from nec13b.corpus.quality_training import TrainQualityConfig, collect_examples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clean", nargs="+", default=["sample,domain=ja"])
    parser.add_argument("--dirty", nargs="*", default=[], help="default: clean text made dirty")
    parser.add_argument("--fold", action="append", help="sources held out, with commas between them; default: by hash")
    parser.add_argument("--max_documents", type=int, default=8000)
    options = parser.parse_args()
    together, areas, pooled, left_out = [], {}, [], {}
    start = time.perf_counter()
    folds = [fold.split(",") for fold in options.fold or ()] or [[]]
    for number, fold in enumerate(folds, start=1):
        config = TrainQualityConfig(
            corpus=options.clean,
            dirty=options.dirty,
            held_out_sources=fold,
            max_documents=options.max_documents,
        )
        config.leave_kinds_out = number == 1
        examples = collect_examples(config)
        with tempfile.TemporaryDirectory() as folder:
            made = make_classifier(examples, config, rules_of(config), Path(folder))
        report, scored = made.metrics, made.scored
        together.append(row_of_fold(number, scored, made.threshold))
        left_out |= report.get("left_out", {})
        for source, share in report["clean_kept_by_source"].items():
            together.append(["", f"clean: {source}", f"{(scored.sources == source)[scored.is_clean].sum():,}", "", "",
                             f"{share:.1%}"])  # fmt: skip
        chosen = scored.is_clean | scored.is_real_dirt
        pooled.append(f"{roc_auc_score(scored.is_clean[chosen], scored.scores[chosen]):.4f}")
        for kind, area in report["roc_auc_by_kind"].items():
            areas.setdefault(kind, []).append(area)
        print(f"fold {number}: {time.perf_counter() - start:.0f} s", flush=True)
    real = [kind for kind in areas if kind not in KINDS]
    by_kind = [
        [kind, "as it came" if kind in real else "made of clean text", *(f"{area:.4f}" for area in areas[kind]),
         f"{left_out[kind]['roc_auc']:.4f}", f"{left_out[kind]['together']:.1%}"]
        for kind in sorted(areas, key=lambda kind: (kind in KINDS, kind))
    ]  # fmt: skip
    by_kind.insert(0, ["**all that came dirty**", "", *pooled, "", ""])
    heads = [f"fold {number}" for number in range(1, len(folds) + 1)]
    names = [Path(entry).name.split(".")[0] for entry in (*options.clean, *options.dirty)]
    body = (
        f"`python benchmarks/quality_filter.py ...` on {machine()}, {time.perf_counter() - start:.0f} s; "
        f"{', '.join(names)}. Nothing below was seen in training, nor when the threshold was chosen, "
        "for which the other half of the held-out documents served. Real dirt is what came dirty; each of its kinds "
        "has one source, so that what of it is held out comes from a known source.\n\n"
        + table(
            ["fold", "held out", "documents", "rules keep", "learned filter alone keeps", "together keep"], together
        )
        + "\n\nArea under the ROC curve of the learned filter alone, each kind of dirt against all held-out clean "
        "text. The last two columns are of the first fold, with the kind left out of training and of the choice of the "
        "threshold: the area, and the share that rules and learned filter together reject.\n\n"
        + table(["kind", "origin", *heads, "never seen", "never seen, rejected together"], by_kind)
    )
    write_section("Corpus: learned filter", body)


def row_of_fold(number: int, scored: Scored, threshold: float) -> list[str]:
    """The shares of all held-out clean, and of all really dirty, documents that are kept."""
    kept = scored.scores >= threshold
    cells = []
    for members in (scored.is_clean, scored.is_real_dirt):
        cells.append(
            (int(members.sum()), scored.passed[members].mean(), kept[members].mean(),
             (kept & scored.passed)[members].mean())
        )  # fmt: skip
    shares = [" / ".join(f"{share:.1%}" for share in pair) for pair in list(zip(*cells))[1:]]
    counts = " / ".join(f"{count:,}" for count, *_ in cells)
    area = np.mean([auc_by_kind(scored)[k] for k in set(scored.kinds[scored.is_real_dirt])])
    return [str(number), f"**clean / real dirt**, threshold {threshold:g}, mean ROC-AUC {area:.4f}", counts, *shares]


if __name__ == "__main__":
    main()
