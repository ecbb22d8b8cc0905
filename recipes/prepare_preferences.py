"""Preferences for alignment: read in any common shape, checked, split by prompt (section 5 of the paper).

Reads    preferences (the sample, files, Hub data sets): pairs, HH-RLHF transcripts, ranked answers, exports of Argilla
         and Label Studio, or pairs.jsonl and judgements.jsonl of recipes/annotate_preferences.py
Writes   <output_dir>/{train,held_out}.jsonl   a preference a line; pass <output_dir> on as --preferences
         <output_dir>/rejected.jsonl           what is not, with file, line, reason, prompt and answers
         <output_dir>/report.html, report.json, run.json

Tiny     python recipes/prepare_preferences.py
13B      python recipes/prepare_preferences.py --config recipes/configs/13b/prepare_preferences.yaml \\
             --preferences runs/13b/annotation --tokenizer runs/13b/tokenizer

docs/preferences.md is the manual.
"""

from pathlib import Path

from nec13b.dialogues.prepared_folder import PAGE_NAME, REJECTED_NAME, REPORT_NAME
from nec13b.dialogues.row_sources import sources_identity
from nec13b.preferences.dry_run import preferences_dry_run
from nec13b.preferences.preference_settings import PreparePreferencesConfig
from nec13b.preferences.preference_sources import parse_preference_sources
from nec13b.preferences.prepared_preferences import prepare_preferences
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RunRecord, claim_made_dir, read_json, write_json
from nec13b.tokenization import load_tokenizer

COUNTED = ("kept", "set_aside", "reasons", "masked", "sources")


def main() -> None:
    config = parse_recipe_config(PreparePreferencesConfig, __file__, dry_run=preferences_dry_run)
    output = Path(config.output_dir)
    handle = load_tokenizer(config.tokenizer) if config.tokenizer else None
    inputs = {
        "preferences": sources_identity(parse_preference_sources(config.preferences)),
        "tokenizer": handle.fingerprint if handle else None,
    }
    note = claim_made_dir(output, {**inputs, "settings": config}, config.overwrite_output_dir)
    if note is None:
        report = read_json(output / REPORT_NAME, __file__)
        print(f"{output} holds these preferences already")
    else:
        record = RunRecord("prepare_preferences", config)
        report = prepare_preferences(config, output, handle.tokenizer if handle else None)
        record.update("inputs", **inputs)
        record.update("counts", **{name: report[name] for name in COUNTED})
        record.update("metrics", length_bias=report["length_bias"])
        record.write(output)
        write_json(*note)
    _say_what_came_out(output, report)


def _say_what_came_out(output: Path, report: dict) -> None:
    kept, longer = report["kept"], report["length_bias"]["longer_wins"]
    for reason, by_source in report["reasons"].items():
        print(f"{-sum(by_source.values()):>+10,} {reason}")
    for kind, count in report["masked"].items():
        print(f"{count:>10,} × {kind.replace('_', ' ')} masked")
    print(f"""{kept["train"]:>10,} preferences for training
{kept["held_out"]:>10,} held out for evaluation
{longer["accuracy"]:>10.1%} right by "the longer answer wins" (95% interval {longer["low"]:.1%} to {longer["high"]:.1%})

{output / PAGE_NAME}   what there is, its length bias, what is wrong with the rest, and examples
{output / REJECTED_NAME}   everything that was set aside, with file, line and reason

Next: python recipes/align.py --preferences {output}""")


if __name__ == "__main__":
    run_recipe(main)
