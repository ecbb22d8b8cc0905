"""Loss against token position, for any list of checkpoints: figure 2 of the paper.

Reads    checkpoints, and the held-out documents of a folder of packed tokens
Writes   <output_dir>/loss_by_position.png, loss_by_position.json; a table to the terminal

Tiny     python evaluation/loss_by_position.py                 before and after recipes/extend_context.py
13B      python evaluation/loss_by_position.py --tokens runs/13b/tokens --window 8192 --documents 200 \\
             --models before=runs/13b/pretrain/model after=runs/13b/extend_context_8k/model

Several checkpoints under one name count as seeds of one method. All are compared with the first name, document by
document. With --probes they also look for passkeys and copy repeated text, in Japanese, at growing lengths.
"""

from nec13b.long_context.comparison import CompareConfig, compare
from nec13b.long_context.dry_run import losses_dry_run
from nec13b.recipe_config import parse_recipe_config, run_recipe


def main() -> None:
    compare(parse_recipe_config(CompareConfig, __file__, dry_run=losses_dry_run))


if __name__ == "__main__":
    run_recipe(main)
