"""Release of data: a cleaned corpus, dialogues or preferences as a data set of the Hub, with its card.

Reads    the folder of recipes/clean_corpus.py, prepare_dialogues.py or prepare_preferences.py, and its records
Writes   <output_dir>/hub   the files of data and README.md (the card), as the Hub has them; `load_dataset` reads it
         <output_dir>/run.json

Tiny     python recipes/publish_dataset.py                    what recipes/clean_corpus.py made
13B      python recipes/publish_dataset.py --config recipes/configs/13b/publish_dataset.yaml --push_to me/my-corpus \\
             --dry_run true

docs/release.md is the manual.
"""

from nec13b.recipe_config import parse_recipe_config, run_recipe
from nec13b.release.dataset_config import PublishDatasetConfig
from nec13b.release.dataset_publishing import publish_dataset


def main() -> None:
    publish_dataset(parse_recipe_config(PublishDatasetConfig, __file__))


if __name__ == "__main__":
    run_recipe(main)
