"""Long context: a base model learns to use a longer window, and loses nothing on short text (section 2(4)).

Reads    a checkpoint (nec13b or Llama), and a corpus or packed tokens that hold long documents
Writes   <output_dir>/model        the model with the new window and its tokenizer, for from_pretrained
         <output_dir>/loss.png, samples.md, metrics.jsonl, run.json; checkpoint-* to go on from
         <output_dir>-<window>     the same for each window of --stages

Tiny     accelerate launch recipes/extend_context.py            goes on from recipes/pretrain.py's tiny model
         accelerate launch recipes/extend_context.py --model runs/mine/model --tokens runs/mine/tokens
13B      accelerate launch --config_file accelerate_configs/hsdp_64x8.yaml recipes/extend_context.py \\
             --config recipes/configs/13b/extend_context_8k.yaml

The same command continues a run that was interrupted. docs/long_context.md explains the interpolation and the text.
"""

import sys

from nec13b.long_context import ExtendContextConfig
from nec13b.long_context.extension import extended_rope, load_extended_model, text_of_both_lengths
from nec13b.pretraining.training_run import Stage, run_training
from nec13b.recipe_config import parse_recipe_config, run_recipe

NEXT_STEPS = """\
Next: loss against position, before and after   python evaluation/loss_by_position.py --help"""


def main() -> None:
    config = parse_recipe_config(ExtendContextConfig, __file__)
    stage = Stage("extend_context", text_of_both_lengths, NEXT_STEPS, extended_rope, load_extended_model)
    for flags in config.flags_of_runs():
        run_training(stage, parse_recipe_config(ExtendContextConfig, __file__, sys.argv[1:] + flags))


if __name__ == "__main__":
    run_recipe(main)
