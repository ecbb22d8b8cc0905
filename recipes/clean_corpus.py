"""Cleansing: raw text becomes a corpus, with a reason for everything that is not in it (section 3 of the paper).

Reads    a corpus (files, web crawls, Hub data sets, the built-in sample), rules, word lists, a quality classifier
Writes   <output_dir>/documents/{train,held_out}/{short,long}   what is kept; pass <output_dir> on as --corpus
         <output_dir>/rejected/<step>, unreadable               what is not, each with its reason
         <output_dir>/report.html, report.json, mixture.json, run.json

Tiny     python recipes/clean_corpus.py
         python recipes/clean_corpus.py --explain page.txt      what every step says of one text
13B      python recipes/clean_corpus.py --config recipes/configs/13b/clean_corpus.yaml --corpus "crawl/*.warc.gz"
         ... --executor slurm --executor_options '{"partition": "cpu", "time": "24:00:00"}'   or --executor ray

Run again after an interruption, it goes on where it was; what comes out is the same, byte for byte, on any number of
workers.
"""

from pathlib import Path

from nec13b.corpus.cleaning import clean_corpus
from nec13b.corpus.cleaning_config import CleanCorpusConfig
from nec13b.corpus.dry_run import cleaning_dry_run
from nec13b.corpus.explain import explain_file
from nec13b.corpus.sources import CLEAN_MARK_NAME, CLEAN_REQUEST_NAME
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RECORD_NAME, RunRecord, fingerprint_of_file, read_json


def main() -> None:
    config = parse_recipe_config(CleanCorpusConfig, __file__, dry_run=cleaning_dry_run)
    if config.explain:
        print(explain_file(config.explain, config))
        return
    record = RunRecord("clean_corpus", config)
    output = Path(config.output_dir)
    made = output / CLEAN_MARK_NAME
    before = made.is_file() and (output / RECORD_NAME).is_file() and fingerprint_of_file(made)
    report = clean_corpus(config)
    if report is None:
        print(f"handed to Slurm; the report will be {output}/report.html")
        return
    # The record of a run that is complete stays that of the run, unless it was thrown away with it.
    if before != fingerprint_of_file(made) or not (output / RECORD_NAME).is_file():
        inputs = read_json(output / CLEAN_REQUEST_NAME, __file__)
        record.update("inputs", **{name: inputs[name] for name in ("corpus", "quality", "tokenizer", "decontaminate")})
        counted = ("read", "unreadable", "funnel", "reasons", "changed")
        record.update("counts", **{name: report[name] for name in counted})
        record.update("counts", kept={key: value for key, value in report["kept"].items() if key != "parts"})
        record.write(output)
    _say_what_came_out(output, report)


def _say_what_came_out(output: Path, report: dict) -> None:
    read, kept = report["read"], report["kept"]
    print(f"\n{read['documents']:>10,} documents read, {read['characters']:,} characters")
    for reason, count in report["unreadable"].items():
        print(f"{count:>10,} noted: {reason}")
    for row in report["funnel"]:
        if row["documents"]:
            reasons = {reason: sum(by.values()) for reason, by in report["reasons"][row["step"]].items()}
            most = sorted(reasons.items(), key=lambda item: -item[1])[:4]
            named = ", ".join(f"{reason} {count:,}" for reason, count in most if reason != row["step"])
            print(f"{-row['documents']:>+10,} {row['step']}{f'  ({named})' if named else ''}")
    print(
        f"{kept['documents']:>10,} documents kept, {kept['characters']:,} characters, about {kept['tokens']:,} tokens"
    )
    for entry in report["mixture"]["sources"]:
        print(f"           {entry['domain']}/{entry['source']}: {entry['share']:.0%} of training, "
              f"{entry['epochs']:.2f} epochs")  # fmt: skip
    print(f"""
{output}/report.html   the funnel, the reasons, examples of what was kept and dropped

Next: python recipes/train_tokenizer.py --corpus {output}""")


if __name__ == "__main__":
    run_recipe(main)
