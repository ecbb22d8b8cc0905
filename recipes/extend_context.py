"""Long context: a base model learns to use a longer window, on long and short text together (section 2(4)).

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
from nec13b.long_context.dry_run import extension_dry_run
from nec13b.long_context.extension import extended_rope, load_extended_model, text_of_both_lengths
from nec13b.pretraining.training_run import Stage, run_training
from nec13b.recipe_config import parse_recipe_config, run_recipe


def main() -> None:
    config = parse_recipe_config(ExtendContextConfig, __file__, dry_run=extension_dry_run)
    for flags in config.flags_of_runs():
        run = parse_recipe_config(ExtendContextConfig, __file__, sys.argv[1:] + flags)
        run_training(
            Stage("extend_context", text_of_both_lengths, next_steps(run), extended_rope, load_extended_model), run
        )


def next_steps(config: ExtendContextConfig) -> str:
    """The command that compares the model with the one before."""
    tokens, after = config.tokens or f"{config.output_dir}/tokens", f"{config.output_dir}/model"
    return f"""\
Next: python evaluation/loss_by_position.py --tokens {tokens} --window {config.sequence_length} \\
          --models before={config.model} after={after}"""


if __name__ == "__main__":
    run_recipe(main)
