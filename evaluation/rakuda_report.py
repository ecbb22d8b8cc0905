"""Win rates, ranking, biases of the judge, figure 4 and pages to read in, of matches judged before, the third step.

Reads    folders of rakuda_judge.py, or files of matches and reviews that Rakuda has published
Writes   <output_dir>/rakuda.json, win_rates.png, rakuda.html, questions/, run.json

Tiny     python evaluation/rakuda_report.py                        the built-in sample
         python evaluation/rakuda_report.py --matches reviews_2023-07-14.jsonl.gz --questions rakuda_v1_questions.jsonl

docs/rakuda.md is the manual.
"""

from pathlib import Path

from nec13b.rakuda.dry_run import report_dry_run
from nec13b.rakuda.rakuda_config import RakudaReportConfig
from nec13b.rakuda.report import report
from nec13b.rakuda.tournament import results_text
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RunRecord


def main() -> None:
    config = parse_recipe_config(RakudaReportConfig, __file__, dry_run=report_dry_run)
    record = RunRecord("rakuda_report", config, config.report_seed)
    results, files, set_aside, models = report(config)
    record.update("inputs", models=models)
    record.update("counts", matches=results["matches"], verdicts=results["verdicts"], set_aside=dict(set_aside.counts))
    record.update("metrics", models=results["models"], biases=results["biases"])
    record.write(Path(config.output_dir))
    print(results_text(results), *([f"set aside: {set_aside}"] if set_aside.counts else []), "", *files, sep="\n")


if __name__ == "__main__":
    run_recipe(main)
