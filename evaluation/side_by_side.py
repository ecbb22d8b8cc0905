"""Before and after: the same prompts and held-out pairs for any list of chat models, beside each other.

Reads    checkpoints (folders, Hub names, adapters, .gguf files), prompts, and the preferences that were aligned on
Writes   <output_dir>/report.html      the answers side by side, and the numbers; report.json has them all
         <output_dir>/answers.jsonl    an answer a line, for whatever judges answers next; pair_scores.jsonl, run.json

Tiny     python evaluation/side_by_side.py                      before and after recipes/align.py
13B      python evaluation/side_by_side.py --preferences runs/13b/preferences --max_new_tokens 512 \\
             --models chat=runs/13b/chat_tune/model aligned=runs/13b/align/model \\
             --judge_model NAME --judge_url http://127.0.0.1:8000/v1

It tells how often each model finds the chosen answer likelier, how often it goes along with a harmful prompt or
refuses a harmless one, and how the length and variety of answers moved. The same command goes on where it stopped.
docs/side_by_side.md is the manual.
"""

from nec13b.model_comparison.comparison import compare_side_by_side
from nec13b.model_comparison.comparison_config import SideBySideConfig
from nec13b.model_comparison.dry_run import side_by_side_dry_run
from nec13b.recipe_config import parse_recipe_config, run_recipe


def main() -> None:
    compare_side_by_side(parse_recipe_config(SideBySideConfig, __file__, dry_run=side_by_side_dry_run))


if __name__ == "__main__":
    run_recipe(main)
