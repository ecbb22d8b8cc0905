"""Packing: a corpus becomes memory-mapped shards of tokens, once, for any number of training runs.

Reads    a corpus (the built-in sample, files, Hub data sets) and a tokenizer (or trains one)
Writes   <output_dir>/tokens           shards by split and domain, and their index
         <output_dir>/tokenizer        where none was given
         <output_dir>/rejected.jsonl   what could not be used, and why; run.json

Tiny     python recipes/pack_tokens.py
13B      python recipes/pack_tokens.py --config recipes/configs/13b/pack_tokens.yaml --corpus "data/*.jsonl.zst"
"""

from dataclasses import asdict
from pathlib import Path

from nec13b.pretraining import PackTokensConfig, packing_report
from nec13b.pretraining.dry_run import packing_dry_run
from nec13b.pretraining.preparation import PREPARED_NAME, prepare_tokens
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RunRecord


def main() -> None:
    config = parse_recipe_config(PackTokensConfig, __file__, dry_run=packing_dry_run)
    output = Path(config.output_dir)
    record = RunRecord("pack_tokens", config)
    if config.overwrite_output_dir:
        (output / PREPARED_NAME).unlink(missing_ok=True)
    tokenizer, shards, rejected = prepare_tokens(config, output)
    record.update("inputs", tokenizer=tokenizer.fingerprint, corpus=shards.index["corpus"])
    record.update("counts", streams=shards.counts(), rejected=rejected)
    for name, count in shards.counts().items():
        print(f"{name}: {count['tokens']:,} tokens in {count['documents']:,} documents")
    length = config.sequence_length
    reports = {domain: packing_report(stream, length) for domain, stream in shards.streams["train"].items()}
    record.update("packing", sequence_length=length, domains={name: asdict(r) for name, r in reports.items()})
    record.write(output)
    print(f"in sequences of {length:,} tokens:")
    for domain, report in reports.items():
        print(
            f"  {domain}: {report.mean_length:,.0f} tokens a document; cutting the stream cuts {report.cut:,} "
            f"documents, best_fit the {report.longer:,} that are longer, with {report.filled:.2%} of the places filled"
        )
    for reason, count in rejected.items():
        print(f"set aside: {count:,} x {reason} (see {output / 'rejected.jsonl'})")
    print(f"Next: accelerate launch recipes/pretrain.py --tokens {shards.folder} --tokenizer {tokenizer.path}")


if __name__ == "__main__":
    run_recipe(main)
