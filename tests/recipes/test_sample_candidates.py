"""The recipe as a user runs it: its presets, its flags, and what it says where its model is missing."""

import pytest

from nec13b.candidates.candidates_config import SampleCandidatesConfig
from nec13b.recipe_config import parse_recipe_config


@pytest.mark.parametrize(("size", "answers"), [("tiny", 2), ("13b", 4)])
def test_presets_are_valid(root, size, answers):
    recipe = root / "recipes" / "sample_candidates.py"
    preset = root / "recipes" / "configs" / size / "sample_candidates.yaml"
    config = parse_recipe_config(SampleCandidatesConfig, str(recipe), ["--config", str(preset)])
    entries = config.model_entries()
    assert [entry.answers for entry in entries] == [answers, answers]
    assert entries[0].sampling.temperature < entries[1].sampling.temperature


def test_models_are_entries_of_yaml_and_of_flags(root, tmp_path):
    (tmp_path / "c.yaml").write_text("models:\n- {model: 'a,b', temperature: 0.3}\n- c,seed=4\n")
    recipe = str(root / "recipes" / "sample_candidates.py")
    config = parse_recipe_config(SampleCandidatesConfig, recipe, ["--config", str(tmp_path / "c.yaml")])
    assert [(e.settings.model, e.sampling.temperature) for e in config.model_entries()] == [("a,b", 0.3), ("c", 0.8)]
    config = parse_recipe_config(SampleCandidatesConfig, recipe, ["--models", "x", "y,answers=1"])
    assert [(entry.settings.model, entry.answers) for entry in config.model_entries()] == [("x", 2), ("y", 1)]


def test_without_a_model_it_says_which_recipe_makes_one(run_recipe, tmp_path):
    done = run_recipe("sample_candidates", "--models", tmp_path / "none", "--output_dir", tmp_path / "out")
    assert done.status == 2
    assert "recipes/chat_tune.py makes one" in done.err
    assert done.err.count("\n") == 1
