"""Annotation: people compare two answers on a web page (section 5 of the paper), or review dialogues (section 4).

Reads    pairs of answers (pairs.jsonl of sample_candidates.py, or the built-in sample); with --review FOLDER, dialogues
         that await review there (augment_dialogues.py)
Writes   <output_dir>/campaign.sqlite      everything that was said, kept as it comes
         <output_dir>/judgements.jsonl     what each person said
         <output_dir>/preferences.jsonl    what they prefer together, for prepare_preferences.py and align.py
         <output_dir>/report.html, report.json, run.json
         with --review: FOLDER/reviewed.jsonl, for augment_dialogues.py, and FOLDER/review/campaign.sqlite, run.json

Tiny     python recipes/annotate_preferences.py                  a page at http://127.0.0.1:7861; Ctrl-C ends it
         python recipes/annotate_preferences.py --report true    (or --export argilla) writes files and ends
13B      NEC13B_ANNOTATORS=/etc/nec13b/annotators python recipes/annotate_preferences.py \\
             --config recipes/configs/13b/annotate_preferences.yaml --allowed_hosts annotate.example.org

The same command goes on after an interruption. docs/annotation.md is the manual.
"""

from pathlib import Path

from nec13b.annotation.annotation_config import AnnotatePreferencesConfig
from nec13b.annotation.annotation_report import annotation_report, review_figures, write_report
from nec13b.annotation.campaign import Campaign
from nec13b.annotation.dry_run import annotation_dry_run
from nec13b.annotation.export_formats import take_in, write_export
from nec13b.annotation.pair_questions import PairQuestions
from nec13b.annotation.review_questions import ReviewQuestions
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RunRecord, fingerprint_of_file

CAMPAIGN_NAME = "campaign.sqlite"


def main() -> None:
    config = parse_recipe_config(AnnotatePreferencesConfig, __file__, dry_run=annotation_dry_run)
    output = Path(config.review) / "review" if config.review else Path(config.output_dir)
    questions = ReviewQuestions(Path(config.review)) if config.review else PairQuestions(config.pairs)
    tasks = questions.tasks()
    record = RunRecord("annotate_preferences", config)
    record.update("inputs", tasks=fingerprint_of_file(questions.path))
    per_task = 1 if config.review else config.judgements_per_pair
    campaign = Campaign(output / CAMPAIGN_NAME, per_task, 60 * config.lease_minutes, config.check_every)
    campaign.take_in(tasks, "choose another --output_dir for another campaign")
    questions.after(campaign)

    written = []
    if config.take_in:
        counts = take_in(Path(config.take_in), campaign)
        print(
            "{recorded:,} judgements taken in; {known:,} were known, {strange:,} are of no pair here".format(**counts)
        )
    elif config.export:
        written = write_export(config.export, output, campaign, config)
    elif not config.report:
        from nec13b.annotation.web_server import serve

        serve(config, campaign, questions, output)
    if config.review:
        figures = review_figures(campaign)
        record.update("counts", **figures)
        for name, counts in figures["by_reviewer"].items():
            print(f"{name}: " + ", ".join(f"{count:,} × {decision}" for decision, count in counts.items()))
        print(f"{figures['waiting']:,} dialogues await review; decisions are in {questions.decisions}")
    else:
        report = annotation_report(campaign, config)
        record.update("counts", **{name: report[name] for name in ("pairs", "judged", "wanted", "preferences")})
        record.update("metrics", alpha=report["alpha"], undecided=report["undecided"])
        written += [] if config.export else write_export("jsonl", output, campaign, config)
        written.append(write_report(output, report))
        print(f"{report['judged']:,} of {report['wanted']:,} judgements, {report['preferences']:,} preferences")
        print("\n".join(map(str, written)))
        print(f"\nNext: python recipes/prepare_preferences.py --preferences {output}")
    record.write(output)


if __name__ == "__main__":
    run_recipe(main)
