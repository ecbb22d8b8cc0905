"""A judge compares answers to Rakuda's questions two by two, the second of three steps; then the report.

Reads    answers (of rakuda_answers.py, or Rakuda's own files), questions, a judge prompt
Writes   <output_dir>/reviews.jsonl   every review, as it comes: the journal of the run
         <output_dir>/matches.jsonl   the comparisons with their verdicts, texts and reviews
         <output_dir>/rakuda.json, win_rates.png, rakuda.html, run.json   the report

Tiny     python evaluation/rakuda_judge.py                         replays the reviews of the built-in sample
13B      python evaluation/rakuda_judge.py --config evaluation/configs/13b/rakuda_judge.yaml --dry_run \\
             --questions rakuda_v2_questions.jsonl --answers runs/13b/rakuda/answers rakuda_v2_answers.jsonl.gz

--dry_run says what it will cost. The same command goes on after an interruption, and judges nothing twice.
docs/rakuda.md is the manual.
"""

from pathlib import Path

from nec13b.errors import InputError
from nec13b.rakuda.dry_run import judge_dry_run
from nec13b.rakuda.judging import account_text, judged
from nec13b.rakuda.rakuda_config import RakudaJudgeConfig
from nec13b.rakuda.report import report_on_judged
from nec13b.rakuda.tournament import results_text
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RunRecord


def main() -> None:
    config = parse_recipe_config(RakudaJudgeConfig, __file__, dry_run=judge_dry_run)
    record = RunRecord("rakuda_judge", config, config.seed)
    found = judged(config)
    record.update("inputs", models=found.models)
    record.update("counts", **found.account)
    record.write(Path(config.output_dir))
    print(account_text(found.account))
    if found.account["stopped"]:
        raise InputError(found.account["stopped"])
    results, files = report_on_judged(config, found.matches)
    record.update("metrics", models=results["models"], biases=results["biases"])
    record.write(Path(config.output_dir))
    print("", results_text(results), "", *files, sep="\n")


if __name__ == "__main__":
    run_recipe(main)
