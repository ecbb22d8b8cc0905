"""The recipe as a user runs it: its presets, and what it says where its model is missing."""

import os
import subprocess
import sys

import pytest

from nec13b.augmentation.augmentation_config import AugmentDialoguesConfig
from nec13b.recipe_config import parse_recipe_config


@pytest.mark.parametrize("size", ["tiny", "13b"])
def test_presets_are_valid(root, size):
    recipe = root / "recipes" / "augment_dialogues.py"
    preset = root / "recipes" / "configs" / size / "augment_dialogues.yaml"
    config = parse_recipe_config(AugmentDialoguesConfig, str(recipe), ["--config", str(preset)])
    assert config.workers == (16 if size == "tiny" else 256)


def test_fields_of_a_request_are_read_from_a_flag(root):
    flags = ["--request_options", '{"top_k": 40, "max_tokens": null}', "--operations", "persona=2,new_topic=1"]
    config = parse_recipe_config(AugmentDialoguesConfig, str(root / "recipes" / "augment_dialogues.py"), flags)
    assert config.request_options == {"top_k": 40, "max_tokens": None}
    assert config.operations == {"persona": 2.0, "new_topic": 1.0}


@pytest.mark.slow
def test_without_a_model_it_says_which_recipe_makes_one(root, tmp_path):
    done = subprocess.run(
        [sys.executable, str(root / "recipes" / "augment_dialogues.py")],
        capture_output=True, text=True, cwd=tmp_path, env=dict(os.environ), timeout=300,
    )  # fmt: skip
    assert done.returncode == 2
    assert "recipes/chat_tune.py makes one" in done.stderr
    assert done.stderr.count("\n") == 1
