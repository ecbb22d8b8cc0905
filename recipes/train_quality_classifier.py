"""The learned filter: fastText tells clean text from dirty (section 3 of the paper).

Reads    clean text (as many sources as you have) and dirty text (yours, and clean text made dirty in eight ways)
Writes   <output_dir>/model.bin, quality.json   the classifier and its threshold, for clean_corpus.py --quality
         <output_dir>/README.md, quality.png    its card: what it learned from, how good it is, by kind and source
         <output_dir>/run.json                  the record

Tiny     python recipes/train_quality_classifier.py
         python recipes/train_quality_classifier.py --corpus books.jsonl wiki.jsonl docs.jsonl --dirty spam.jsonl
13B      python recipes/train_quality_classifier.py --config recipes/configs/13b/train_quality_classifier.yaml \\
             --corpus "reviewed/clean/*.jsonl.zst" --dirty "reviewed/dirty/*.jsonl.zst"
"""

from pathlib import Path

from nec13b.corpus import Rejections, corpus_identity, parse_sources
from nec13b.corpus.dry_run import quality_dry_run
from nec13b.corpus.quality import CARD_NAME, MADE_BY
from nec13b.corpus.quality_card import write_readme
from nec13b.corpus.quality_evaluation import draw_quality, make_classifier, rules_of
from nec13b.corpus.quality_training import TrainQualityConfig, collect_examples
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RunRecord, claim_made_dir, read_json, write_json


def main() -> None:
    config = parse_recipe_config(TrainQualityConfig, __file__, dry_run=quality_dry_run)
    output = Path(config.output_dir)
    rules = rules_of(config)
    request = {
        "corpus": [corpus_identity(parse_sources(e)) for e in (config.corpus, config.dirty) if e],
        "settings": config,
    }
    note = claim_made_dir(output, request, config.overwrite_output_dir)
    if note is None:
        _say_what_came_out(output, config, read_json(output / CARD_NAME, MADE_BY)["metrics"])
        return
    record = RunRecord("train_quality_classifier", config, config.seed)
    rejections = Rejections(output / "unreadable.jsonl")
    print("reading ...", flush=True)
    examples = collect_examples(config, rejections)
    training = sum(not example.held_out for example in examples)
    print(f"training on {training:,} documents, {len(examples) - training:,} held out ...", flush=True)
    made = make_classifier(examples, config, rules, output)
    draw_quality(output / "quality.png", made.scored, made.threshold)
    write_readme(output / "README.md", config, examples, made.threshold, made.metrics)
    record.update("counts", training=training, held_out=len(examples) - training, rejected=dict(rejections.counts))
    record.update("metrics", threshold=made.threshold, **made.metrics)
    record.write(output)
    write_json(*note)
    _say_what_came_out(output, config, made.metrics)


def _say_what_came_out(output: Path, config: TrainQualityConfig, metrics: dict) -> None:
    threshold = read_json(output / CARD_NAME, MADE_BY)["threshold"]
    print(f"\nROC-AUC {metrics['roc_auc']:.4f}; at threshold {threshold:g}: precision {metrics['precision']:.3f}, "
          f"recall {metrics['recall']:.3f} (see {output}/README.md and quality.png)")  # fmt: skip
    if metrics["precision"] < config.wanted_precision:
        print(f"the wanted precision of {config.wanted_precision:g} was not reached; this is the highest there is")
    print(f"Next: python recipes/clean_corpus.py --quality {output}")


if __name__ == "__main__":
    run_recipe(main)
