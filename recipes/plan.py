"""The plan of a pre-training run: memory, time, price and communication, before a GPU is rented (docs/plan.md).

Reads    the settings of recipes/pretrain.py (file and flags), and an accelerate config; no corpus, tokenizer or GPU
Writes   a page to the terminal; with --output a folder's plan.json

Tiny     python recipes/plan.py
13B      python recipes/plan.py --config recipes/configs/13b/pretrain.yaml \\
             --machine accelerate_configs/fsdp_64x8.yaml --gpu a100-80gb --mfu 0.45 --price_per_gpu_hour 2
"""

from pathlib import Path

from nec13b.pretraining.plan import make_plan
from nec13b.pretraining.plan_config import PlanConfig
from nec13b.pretraining.plan_page import plan_page
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import write_json

PRESET = "pretrain"  # a plan is one of that recipe's settings


def main() -> None:
    config = parse_recipe_config(PlanConfig, __file__, preset=PRESET)
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


if __name__ == "__main__":
    run_recipe(main)
