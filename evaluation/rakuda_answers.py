"""Answers of a model to Rakuda's questions, the first of three steps (section 6 of the paper).

Reads    questions (a file, the Hub, four of our own), a chat model or an OpenAI-compatible endpoint
Writes   <output_dir>/<name>.jsonl   an answer a line, in the format of Rakuda's own scripts
         <output_dir>/<name>/run.json

Tiny     python evaluation/rakuda_answers.py                       the model of recipes/chat_tune.py
13B      vllm serve runs/13b/export/llama --served-model-name nec13b        (recipes/export.py wrote it)
         python evaluation/rakuda_answers.py --config evaluation/configs/13b/rakuda_answers.yaml \\
             --questions rakuda_v2_questions.jsonl

The same command goes on after an interruption. docs/rakuda.md is the manual.
"""

from pathlib import Path

from nec13b.errors import InputError
from nec13b.rakuda.answer_generation import answer_questions, answers_text
from nec13b.rakuda.dry_run import answers_dry_run
from nec13b.rakuda.rakuda_config import RakudaAnswersConfig
from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.run_record import RunRecord


def main() -> None:
    config = parse_recipe_config(RakudaAnswersConfig, __file__, dry_run=answers_dry_run)
    record = RunRecord("rakuda_answers", config, config.seed)
    account = answer_questions(config)
    record.update("counts", **account)
    record.write(Path(account["path"]).with_suffix(""))
    print(answers_text(account))
    if account["stopped"]:
        raise InputError(account["stopped"])


if __name__ == "__main__":
    run_recipe(main)
