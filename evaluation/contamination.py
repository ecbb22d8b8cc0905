"""Which questions of an evaluation stand in the text that a model was trained on.

Reads    a corpus, dialogues, or both; files of questions: JGLUE's, Rakuda's, any JSONL with a field question
Writes   <output_dir>/contamination.json (which, and where), set_aside.jsonl; counts to the terminal

Tiny     python evaluation/contamination.py
13B      python evaluation/contamination.py --corpus runs/13b/clean --dialogues runs/13b/dialogues/dialogues.jsonl \\
             --items JGLUE/datasets rakuda_v1_questions.jsonl

To keep them out of a corpus, give the files to recipes/clean_corpus.py as --decontaminate.
"""

from nec13b.jglue.contamination import ContaminationConfig, look
from nec13b.jglue.dry_run import contamination_dry_run
from nec13b.recipe_config import parse_recipe_config, run_recipe


def main() -> None:
    look(parse_recipe_config(ContaminationConfig, __file__, dry_run=contamination_dry_run))


if __name__ == "__main__":
    run_recipe(main)
