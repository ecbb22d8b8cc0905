"""All evaluations of a set of models on one page: figures 2, 3 and 4 of the paper, with their tables.

Reads    folders of loss_by_position.py, jglue.py and rakuda_judge.py or rakuda_report.py; those that are there;
         with --stages, the folders of recipes, so that the page tells the way that led to the models, too
Writes   <output_dir>/report.html, report.json, run.json; a table to the terminal

Tiny     python evaluation/report.py                       what the tiny presets of those commands have left
13B      python evaluation/report.py --results runs/13b/loss_by_position runs/13b/jglue runs/13b/rakuda/judged

A model is one row if it has the same label everywhere. docs/evaluation.md and docs/rakuda.md say what the numbers are.
"""

from pathlib import Path

from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.report.evaluation_report import PAGE_NAME, ReportConfig, report_dry_run, summary_text, write_report
from nec13b.run_record import RunRecord


def main() -> None:
    config = parse_recipe_config(ReportConfig, __file__, dry_run=report_dry_run)
    record = RunRecord("report", config)
    summary = write_report(config)
    record.update("metrics", models=summary)
    record.write(Path(config.output_dir))
    print(summary_text(summary), "", Path(config.output_dir) / PAGE_NAME, sep="\n")


if __name__ == "__main__":
    run_recipe(main)
