"""The plan of a pre-training run: memory, time, price and communication, before a GPU is rented (docs/plan.md).

Reads    the settings of recipes/pretrain.py (file and flags), or with --of extend_context, chat_tune or align those of
         that recipe, and an accelerate config; no corpus, model, tokenizer or GPU
Writes   a page to the terminal; with --output a folder's plan.json

Tiny     python recipes/plan.py
13B      python recipes/plan.py --config recipes/configs/13b/pretrain.yaml \\
             --machine accelerate_configs/fsdp_64x8.yaml --gpu a100-80gb --mfu 0.45 --price_per_gpu_hour 2
         python recipes/plan.py --of extend_context --config recipes/configs/13b/extend_context_32k.yaml \\
             --machine accelerate_configs/fsdp_cp_64x8.yaml
         python recipes/plan.py --of chat_tune --config recipes/configs/13b/chat_tune.yaml \\
             --machine accelerate_configs/fsdp_1x8.yaml --planned_dialogues 50000 --mean_length 1000
         python recipes/plan.py --of align --config recipes/configs/13b/align.yaml \\
             --machine accelerate_configs/fsdp_1x8.yaml
"""

import sys
from pathlib import Path

from nec13b.alignment.align_plan import AlignPlanConfig, align_plan
from nec13b.chat_tuning.tuning_plan import ChatTunePlanConfig, chat_tune_plan
from nec13b.errors import InputError
from nec13b.long_context.plan_config import ExtensionPlanConfig
from nec13b.pretraining.plan import make_plan
from nec13b.pretraining.plan_config import PlanConfig
from nec13b.pretraining.plan_page import plan_page
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import write_json

RECIPES = {
    "pretrain": PlanConfig,
    "extend_context": ExtensionPlanConfig,
    "chat_tune": ChatTunePlanConfig,
    "align": AlignPlanConfig,
}


def main() -> None:
    recipe, arguments = take_recipe(sys.argv[1:])
    config = parse_recipe_config(RECIPES[recipe], __file__, arguments, preset=recipe)
    if recipe in ("chat_tune", "align"):
        plan = chat_tune_plan(config) if recipe == "chat_tune" else align_plan(config)
        print(plan.page())
    else:
        plan = make_plan(
            config,
            config.layout,
            config.gpu,
            mfu=config.mfu,
            tokens_per_second=config.tokens_per_second,
            price_per_gpu_hour=config.price_per_gpu_hour,
        )
        print(plan_page(plan))
    if config.output:
        print(f"{write_json(Path(config.output) / 'plan.json', plan.to_dict())}   the same as numbers")


def take_recipe(arguments: list[str]) -> tuple[str, list[str]]:
    """The recipe that `--of` names, which decides what settings there are, and the other arguments."""
    if "--of" not in arguments:
        return "pretrain", arguments
    place = arguments.index("--of")
    recipe = "".join(arguments[place + 1 : place + 2])
    if recipe not in RECIPES:
        raise InputError(f"--of must be one of {', '.join(RECIPES)}, not {recipe!r}")
    return recipe, arguments[:place] + arguments[place + 2 :]


if __name__ == "__main__":
    run_recipe(main)
