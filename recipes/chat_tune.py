"""Chat tuning: the base model becomes a multi-turn assistant through ChatML dialogues (section 4 of the paper).

Reads    a base checkpoint (nec13b or Llama), and dialogues (recipes/prepare_dialogues.py, or files and Hub data sets)
Writes   <output_dir>/model        the chat model and its tokenizer, for from_pretrained; with an adapter on request
         <output_dir>/adapter      the LoRA adapter, where one is trained
         <output_dir>/loss.png, samples.md, metrics.jsonl, run.json; checkpoint-* to go on from

Tiny     accelerate launch recipes/chat_tune.py                  goes on from recipes/extend_context.py's tiny model
         accelerate launch recipes/chat_tune.py --adapter lora --merge_adapter true --output_dir runs/lora
13B      accelerate launch --config_file accelerate_configs/fsdp_1x8.yaml recipes/chat_tune.py \\
             --config recipes/configs/13b/chat_tune.yaml

The same command continues a run that was interrupted. docs/chat_tuning.md is the manual.
"""

from nec13b.chat_tuning.dry_run import chat_tuning_dry_run
from nec13b.chat_tuning.tuning_config import ChatTuneConfig
from nec13b.chat_tuning.tuning_run import run_tuning
from nec13b.recipe_config import parse_recipe_config, run_recipe


def main() -> None:
    run_tuning(parse_recipe_config(ChatTuneConfig, __file__, dry_run=chat_tuning_dry_run))


if __name__ == "__main__":
    run_recipe(main)
