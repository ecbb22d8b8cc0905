"""Amplification: a chat model writes new dialogues out of seed dialogues, and people decide (section 4 of the paper).

Reads    seed dialogues (files, Hub data sets, the built-in sample), a chat model or an OpenAI-compatible endpoint,
         <output_dir>/reviewed.jsonl, what people have decided
Writes   <output_dir>/dialogues.jsonl   the result: what was accepted, for prepare_dialogues.py and chat_tune.py
         <output_dir>/review.jsonl      kept items that await a decision
         <output_dir>/journal.jsonl     the outcome of every item: kept, rejected or failed, with its reason
         <output_dir>/report.json, run.json

Tiny     python recipes/augment_dialogues.py                     with the tiny model of recipes/chat_tune.py
         python recipes/augment_dialogues.py --generator endpoint --base_url http://localhost:8000/v1 --model NAME
13B      python recipes/export.py --model runs/13b/chat_tune/model --dtype bfloat16 --output_dir runs/13b/chat_export
         vllm serve runs/13b/chat_export/llama --served-model-name nec13b
         python recipes/augment_dialogues.py --config recipes/configs/13b/augment_dialogues.yaml --seeds my/seeds.jsonl

The same command goes on after an interruption, and takes in new decisions. docs/augmentation.md is the manual.
"""

from pathlib import Path

from nec13b.augmentation.augmentation import augment_dialogues
from nec13b.augmentation.augmentation_config import AugmentDialoguesConfig
from nec13b.augmentation.augmentation_report import accounts_text, mean_score
from nec13b.augmentation.dry_run import augmentation_dry_run
from nec13b.dialogues.dialogue_sources import parse_dialogue_sources
from nec13b.dialogues.row_sources import sources_identity
from nec13b.errors import InputError
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RunRecord


def main() -> None:
    config = parse_recipe_config(AugmentDialoguesConfig, __file__, dry_run=augmentation_dry_run)
    record, output = RunRecord("augment_dialogues", config, config.seed), Path(config.output_dir)
    report = augment_dialogues(config)
    record.update("inputs", seeds=sources_identity(parse_dialogue_sources(config.seeds)))
    counted = ("requested", "kept", "rejected", "failed", "left", "rejected_by_reason", "failed_by_reason", "review")
    record.update("counts", **{name: report[name] for name in counted})
    record.update("metrics", diversity=report["diversity"], mean_score=mean_score(report), cost=report["cost"])
    record.write(output)
    print(accounts_text(report))
    review = report["review"]
    print(f"""
{output}/dialogues.jsonl   {review["result"]:,} dialogues
{output}/review.jsonl      {review["waiting"]:,} await a decision in reviewed.jsonl (docs/augmentation.md)""")
    if report["stopped"]:
        raise InputError(report["stopped"])


if __name__ == "__main__":
    run_recipe(main)
