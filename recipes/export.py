"""Release: the model in forms that run without this project, checked, with its card, on the Hub if so wanted.

Reads    a checkpoint or a LoRA adapter (recipes/chat_tune.py, align.py, or one before), and the records of its stages
Writes   <output_dir>/llama    a plain Llama for transformers, vLLM and others, with README.md (the model card)
         <output_dir>/gguf     one file for llama.cpp, on request (--forms llama gguf)
         <output_dir>/nec13b   the same weights with the project's code beside them, on request

Tiny     python recipes/export.py                    what recipes/chat_tune.py made
13B      python recipes/export.py --config recipes/configs/13b/export.yaml --push_to me/my-13b --dry_run

docs/release.md is the manual.
"""

from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.release.export_config import ExportConfig
from nec13b.release.exporting import export


def main() -> None:
    export(parse_recipe_config(ExportConfig, __file__))


if __name__ == "__main__":
    run_recipe(main)
