"""Dialogues for chat tuning: read in any common shape, checked, split (section 4 of the paper).

Reads    dialogues (the sample, files, Hub data sets): messages, ShareGPT, Alpaca, prompt and answer, tree of messages
Writes   <output_dir>/{train,held_out}.jsonl   a dialogue a line; pass <output_dir> on as --dialogues
         <output_dir>/rejected.jsonl           what is not, with file, line, reason and its messages
         <output_dir>/report.html, report.json, run.json

Tiny     python recipes/prepare_dialogues.py
13B      python recipes/prepare_dialogues.py --config recipes/configs/13b/prepare_dialogues.yaml \\
             --dialogues "people/*.jsonl" hub:OpenAssistant/oasst2,licence=Apache-2.0 --tokenizer runs/13b/tokenizer

docs/dialogues.md is the manual.
"""

from pathlib import Path

from nec13b.dialogues.dialogue_settings import PrepareDialoguesConfig
from nec13b.dialogues.dialogue_sources import parse_dialogue_sources
from nec13b.dialogues.dry_run import dialogues_dry_run
from nec13b.dialogues.prepared_dialogues import prepare_dialogues
from nec13b.dialogues.prepared_folder import PAGE_NAME, REJECTED_NAME, REPORT_NAME
from nec13b.dialogues.row_sources import sources_identity
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RunRecord, claim_made_dir, read_json, write_json
from nec13b.tokenization import load_tokenizer

COUNTED = ("kept", "set_aside", "reasons", "masked", "cut_after_last_answer", "sources")


def main() -> None:
    config = parse_recipe_config(PrepareDialoguesConfig, __file__, dry_run=dialogues_dry_run)
    output = Path(config.output_dir)
    handle = load_tokenizer(config.tokenizer) if config.tokenizer else None
    inputs = {
        "dialogues": sources_identity(parse_dialogue_sources(config.dialogues)),
        "tokenizer": handle.fingerprint if handle else None,
    }
    note = claim_made_dir(output, {**inputs, "settings": config}, config.overwrite_output_dir)
    if note is None:
        report = read_json(output / REPORT_NAME, __file__)
        print(f"{output} holds these dialogues already")
    else:
        record = RunRecord("prepare_dialogues", config)
        report = prepare_dialogues(config, output, handle.tokenizer if handle else None)
        record.update("inputs", **inputs)
        record.update("counts", **{name: report[name] for name in COUNTED})
        record.write(output)
        write_json(*note)
    _say_what_came_out(output, report)


def _say_what_came_out(output: Path, report: dict) -> None:
    kept = report["kept"]
    for reason, by_source in report["reasons"].items():
        print(f"{-sum(by_source.values()):>+10,} {reason}")
    if cut := report["cut_after_last_answer"]:
        print(f"{cut:>10,} cut after their last answer")
    for kind, count in report["masked"].items():
        print(f"{count:>10,} × {kind.replace('_', ' ')} masked")
    print(f"""{kept["train"]:>10,} dialogues for training
{kept["held_out"]:>10,} held out for evaluation

{output / PAGE_NAME}   what there is, what is wrong with the rest, and examples
{output / REJECTED_NAME}   everything that was set aside, with file, line and reason

Next: python recipes/chat_tune.py --dialogues {output}""")


if __name__ == "__main__":
    run_recipe(main)
