"""The tokenizer: BPE for Japanese, English and code, without unsuitable tokens (section 2(2) of the paper).

Reads    a corpus (the built-in sample, files, Hub data sets, the output of clean_corpus.py)
Writes   <output_dir>   a fast tokenizer for AutoTokenizer, with ChatML's special tokens and template; run.json;
                        removed_tokens.jsonl, what was unsuitable and why; with --report, report.html and report.json

Tiny     python recipes/train_tokenizer.py --report
13B      python recipes/train_tokenizer.py --config recipes/configs/13b/train_tokenizer.yaml --corpus runs/13b/clean \\
             --report --peers llm-jp/llm-jp-13b-v2.0

docs/tokenizer.md is the manual.
"""

from pathlib import Path

from nec13b.corpus import corpus_identity, parse_sources
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RunRecord, claim_made_dir, write_json
from nec13b.tokenization import load_tokenizer, make_tokenizer
from nec13b.tokenization.dry_run import tokenizer_dry_run
from nec13b.tokenization.peers import load_peers
from nec13b.tokenization.report import write_report
from nec13b.tokenization.settings import REPORT_SETTINGS, TrainTokenizerConfig


def main() -> None:
    config = parse_recipe_config(TrainTokenizerConfig, __file__, dry_run=tokenizer_dry_run)
    output = Path(config.output_dir)
    peers = load_peers(config.peers) if config.report else []  # a wrong name is found before any work starts
    request = {"corpus": corpus_identity(parse_sources(config.corpus)), "settings": config}
    note = claim_made_dir(output, request, config.overwrite_output_dir, REPORT_SETTINGS)
    if note is not None:
        record = RunRecord("train_tokenizer", config)
        made = make_tokenizer(config, output)
        record.update("inputs", characters=made.counts.characters, proportions=made.proportions)
        record.update(
            "counts",
            tokens=len(made.handle.tokenizer),
            removed=made.removed_by_class(),
            steps=len(made.vocabulary.steps),
            rounds=made.vocabulary.rounds,
            pre_tokens=made.counts.different,
            rejected=made.rejected,
        )
        record.update("metrics", tokenizer=made.handle.fingerprint, dropped_share=made.counts.dropped_share)
        record.update("metrics", characters_per_token=made.characters_per_token())
        record.update("timings_seconds", **made.seconds)
        record.write(output)
        write_json(*note)
        print(made.summary())
    handle = load_tokenizer(output)
    print(f"{len(handle.tokenizer):,} tokens in {output}")
    if config.report:
        print("measuring for the report ...", flush=True)
        print(f"The report: {write_report(output, config, handle, peers)}")
    print(f"Next: python recipes/pack_tokens.py --tokenizer {output}")


if __name__ == "__main__":
    run_recipe(main)
