"""Candidates: chat models answer prompts of people, and pairs of answers are chosen to be compared (section 5).

Reads    prompts (files, dialogues, Hub data sets, the built-in sample), one or several chat models or endpoints
Writes   <output_dir>/pairs.jsonl             what people compare, for annotate_preferences.py
         <output_dir>/answers.jsonl           every answer as it was given: the journal, by which a run goes on
         <output_dir>/dropped_answers.jsonl   what cannot be compared: empty, cut, says the same as another one, ...
         <output_dir>/rejected_prompts.jsonl, report.json, run.json

Tiny     python recipes/sample_candidates.py                     with the tiny model of recipes/chat_tune.py
         python recipes/sample_candidates.py --prompts my/prompts.txt --models my/chat-model other/chat-model
13B      python recipes/sample_candidates.py --config recipes/configs/13b/sample_candidates.yaml \\
             --prompts my/prompts.jsonl

The same command goes on after an interruption. docs/candidates.md is the manual.
"""

from pathlib import Path

from nec13b.candidates.candidate_sampling import sample_candidates
from nec13b.candidates.candidates_config import SampleCandidatesConfig
from nec13b.candidates.candidates_report import report_text
from nec13b.candidates.dry_run import candidates_dry_run
from nec13b.candidates.prompt_sources import parse_prompt_sources
from nec13b.dialogues.row_sources import sources_identity
from nec13b.errors import InputError
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RunRecord

COUNTED = ("prompts", "requested", "answered", "failed", "left", "by_model", "answers_dropped", "pairs", "check_pairs",
           "prompts_without", "prompts_set_aside")  # fmt: skip
MEASURED = ("similarity", "length_ratio", "length_difference_characters", "not_of_comparable_length", "cost")


def main() -> None:
    config = parse_recipe_config(SampleCandidatesConfig, __file__, dry_run=candidates_dry_run)
    record, output = RunRecord("sample_candidates", config, config.seed), Path(config.output_dir)
    report = sample_candidates(config)
    record.update("inputs", prompts=sources_identity(parse_prompt_sources(config.prompts)), models=report["models"])
    record.update("counts", **{name: report[name] for name in COUNTED})
    record.update("metrics", **{name: report[name] for name in MEASURED})
    record.write(output)
    print(f"""{report_text(report)}

{output}/pairs.jsonl   what people compare
{output}/dropped_answers.jsonl   what they do not, with the reason

Next: python recipes/annotate_preferences.py --pairs {output}/pairs.jsonl""")
    if report["stopped"]:
        raise InputError(report["stopped"])


if __name__ == "__main__":
    run_recipe(main)
