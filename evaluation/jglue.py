"""JSQuAD and JCommonsenseQA for a list of models: figure 3 of the paper.

Reads    checkpoints (folders or Hub names, adapters too), and JGLUE's files
Writes   <output_dir>/jglue.png, jglue.json, measured/ (every answer); a table to the terminal

Tiny     python evaluation/jglue.py                        the tiny base and chat model, on ten questions of our own
13B      NEC13B_JGLUE=JGLUE/datasets python evaluation/jglue.py --config evaluation/configs/13b/jglue.yaml \\
             --models base=runs/13b/pretrain/model llama2=meta-llama/Llama-2-13b-hf

The tasks lie in evaluation/tasks/ and run in lm-eval by themselves, too. A command that was interrupted goes on where
it was. docs/evaluation.md says how the figures relate to those of others.
"""

from pathlib import Path

from nec13b.jglue.comparison import compare
from nec13b.jglue.comparison_config import JglueConfig
from nec13b.jglue.dry_run import jglue_dry_run
from nec13b.recipe_config import parse_recipe_config, run_recipe


def main() -> None:
    compare(
        parse_recipe_config(JglueConfig, __file__, dry_run=jglue_dry_run), Path(__file__).resolve().parent / "tasks"
    )


if __name__ == "__main__":
    run_recipe(main)
