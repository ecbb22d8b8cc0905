"""Alignment: the chat model learns which answers people prefer, by DPO (section 5 of the paper).

Reads    a chat model (nec13b or Llama), and preferences (recipes/prepare_preferences.py, or files and Hub data sets)
Writes   <output_dir>/model        the aligned model and its tokenizer, for from_pretrained; with an adapter on request
         <output_dir>/adapter      the LoRA adapter, where one is trained
         <output_dir>/alignment.png, loss.png, samples.md, metrics.jsonl, run.json; checkpoint-* to go on from
         <output_dir>/reference    the preferences as tokens, and what the reference says of them

Tiny     accelerate launch recipes/align.py                      goes on from recipes/chat_tune.py's tiny model
         accelerate launch recipes/align.py --adapter lora --reference adapter_off --output_dir runs/align_lora
13B      accelerate launch --config_file accelerate_configs/fsdp_1x8.yaml recipes/align.py \\
             --config recipes/configs/13b/align.yaml

The same command continues a run that was interrupted. docs/alignment.md is the manual.
"""

from nec13b.alignment.align_config import AlignConfig
from nec13b.alignment.align_run import run_alignment
from nec13b.alignment.dry_run import alignment_dry_run
from nec13b.recipe_config import parse_recipe_config, run_recipe


def main() -> None:
    run_alignment(parse_recipe_config(AlignConfig, __file__, dry_run=alignment_dry_run))


if __name__ == "__main__":
    run_recipe(main)
