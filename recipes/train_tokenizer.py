"""The tokenizer: byte-complete BPE for Japanese, English and code (section 2(2) of the paper).

Reads    a corpus (the built-in sample, files, Hub data sets)
Writes   <output_dir>   a fast tokenizer for AutoTokenizer, with ChatML's special tokens and template; run.json

Tiny     python recipes/train_tokenizer.py
13B      python recipes/train_tokenizer.py --config recipes/configs/13b/train_tokenizer.yaml --corpus "data/*.jsonl.zst"
"""

from pathlib import Path

from nec13b.corpus import Rejections
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RunRecord
from nec13b.tokenization import make_tokenizer
from nec13b.tokenization.settings import TrainTokenizerConfig


def main() -> None:
    config = parse_recipe_config(TrainTokenizerConfig, __file__)
    record = RunRecord("train_tokenizer", config)
    rejections = Rejections()
    handle = make_tokenizer(config, Path(config.output_dir), rejections)
    record.update("metrics", tokenizer=handle.fingerprint)
    record.update("counts", tokens=len(handle.tokenizer), rejected=dict(rejections.counts))
    record.write(config.output_dir)
    print(
        f"{len(handle.tokenizer):,} tokens in {config.output_dir}"
        + (f"; set aside: {rejections}" if rejections.counts else "")
    )
    print(f"Next: python recipes/pack_tokens.py --tokenizer {config.output_dir}")


if __name__ == "__main__":
    run_recipe(main)
