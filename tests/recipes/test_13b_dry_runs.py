"""Every command with a 13B preset says what it would do with it, on this machine, without network, models or traces."""

import runpy
import shutil
import socket
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, PreTrainedModel

from nec13b.pretraining import PretrainConfig
from nec13b.pretraining import dry_run as dry_run_of_training
from nec13b.pretraining.gpus import named_gpu
from nec13b.pretraining.model_shape import ModelShape
from nec13b.recipe_config import parse_recipe_config

ROOT = Path(__file__).parents[2]
PRESETS = sorted(ROOT.glob("*/configs/13b/*.yaml"))
# plan.py reckons and does nothing else, so it has no dry run of its own.
COMMANDS = sorted(path for path in (*ROOT.glob("recipes/*.py"), *ROOT.glob("evaluation/*.py")) if path.stem != "plan")
OF_PLAN = {
    "pretrain.yaml": ["--of", "pretrain"],
    "extend_context_8k.yaml": ["--of", "extend_context"],
    "extend_context_32k.yaml": ["--of", "extend_context"],
    "align.yaml": ["--of", "align"],
    "align_lora.yaml": ["--of", "align"],
}


def command_of(preset: Path) -> Path:
    """The script whose name begins the preset's."""
    fitting = [path for path in COMMANDS if path.parent == preset.parents[2] and preset.stem.startswith(path.stem)]
    return max(fitting, key=lambda path: len(path.stem))


@pytest.fixture
def dry_run(tmp_path, monkeypatch, capfd):
    """Runs a command in an empty folder where no model can be made and no address be reached."""

    def refuse(*arguments, **named):
        raise AssertionError("a dry run must not do this")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(PreTrainedModel, "__init__", refuse)
    for variable in ("NEC13B_JGLUE", "NEC13B_ANNOTATORS", "OPENAI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    empty = tmp_path / "here"
    empty.mkdir()
    monkeypatch.chdir(empty)

    def run(script: Path, *flags: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, flags)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
        return ended.value.code, *capfd.readouterr()

    return run


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: f"{path.parents[2].name}/{path.stem}")
def test_a_13b_preset_is_told_and_leaves_nothing(dry_run, preset):
    status, said, errors = dry_run(command_of(preset), "--config", preset, "--dry_run")
    assert status == 0, errors
    for heading in ("Reads\n", "Does\n", "Writes\n"):
        assert heading in said
    assert said.rstrip().endswith("This was a dry run: nothing was made, fetched or asked.")
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("script", COMMANDS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_command_takes_the_flag(dry_run, script):
    status, said, errors = dry_run(script, "--dry_run", "true")
    assert status == 0, errors
    assert "Reads\n" in said
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("preset", OF_PLAN)
def test_the_plan_of_a_13b_preset_is_reckoned(dry_run, preset):
    config = ROOT / "recipes" / "configs" / "13b" / preset
    machine = "one_gpu" if "lora" in preset else "fsdp_cp_64x8" if "32k" in preset else "fsdp_1x8"
    flags = ["--config", config, "--machine", ROOT / "accelerate_configs" / f"{machine}.yaml"]
    status, said, errors = dry_run(ROOT / "recipes" / "plan.py", *OF_PLAN[preset], *flags)
    assert status == 0, errors
    assert "13,201,986,560 parameters" in said


def test_what_is_missing_is_named_with_what_makes_it(dry_run):
    pretrain = ROOT / "recipes" / "pretrain.py"
    status, said, _ = dry_run(pretrain, "--config", ROOT / "recipes/configs/13b/pretrain.yaml", "--dry_run")
    assert status == 0
    assert "missing; recipes/train_tokenizer.py makes it" in said
    assert "missing; recipes/pack_tokens.py makes it" in said
    assert "Missing: tokenizer, tokens." in said
    assert "13,201,986,560 parameters" in said
    assert "61,988 steps, 259,996,516,352 tokens" in said


def test_what_is_there_is_looked_at(dry_run, tokens, tokenizer, small_run):
    status, said, errors = dry_run(ROOT / "recipes" / "pretrain.py", *small_run, "--dry_run")
    assert status == 0, errors
    assert "No input is missing." in said
    assert " epochs" in said
    assert "12 steps, 6,144 tokens" in said


def test_tokens_of_another_tokenizer_end_a_dry_run_as_they_end_a_run(dry_run, small_run, tokenizer, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tokenizer.path, other)
    (other / "tokenizer.json").write_text((other / "tokenizer.json").read_text() + "\n")
    status, _, errors = dry_run(ROOT / "recipes" / "pretrain.py", *small_run, "--tokenizer", other, "--dry_run")
    assert status == 2
    assert "were made with another tokenizer" in errors


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--dry_run", "--hiden_size", "64"], "did you mean hidden_size?"),
        (["--dry_run=perhaps"], "--dry_run is true or false, not 'perhaps'"),
        (["--dry_run", "--tokens_per_batch", "1000"], "tokens_per_batch"),
    ],
)
def test_mistakes_in_the_settings_end_a_dry_run(dry_run, flags, said):
    status, _, errors = dry_run(ROOT / "recipes" / "pretrain.py", *flags)
    assert status == 2
    assert said in errors


def test_a_model_that_is_there_gives_its_shape_and_is_not_loaded(dry_run, tiny_checkpoint):
    status, said, errors = dry_run(ROOT / "recipes" / "chat_tune.py", "--model", tiny_checkpoint, "--dry_run")
    assert status == 0, errors
    parameters = ModelShape.of(AutoConfig.from_pretrained(tiny_checkpoint)).parameters
    assert f"model: {parameters:,} parameters; all weights are trained" in said
    assert "No input is missing." in said


def test_names_of_the_hub_are_not_asked_for(dry_run):
    flags = ["--model", "org/base", "--dialogues", "hub:org/chats,licence=mit", "--dry_run"]
    status, said, _ = dry_run(ROOT / "recipes" / "chat_tune.py", *flags)
    assert status == 0
    assert "a name of the Hub, fetched when the command runs" in said
    assert "a data set of the Hub, fetched when the command runs" in said


def test_other_processes_of_a_launch_are_silent(dry_run, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    status, said, _ = dry_run(ROOT / "recipes" / "prepare_dialogues.py", "--dry_run")
    assert status == 0
    assert said == ""


def test_on_gpus_the_short_plan_is_part_of_it(monkeypatch):
    flags = ["--config", str(ROOT / "recipes" / "configs" / "13b" / "pretrain.yaml")]
    config = parse_recipe_config(PretrainConfig, str(ROOT / "recipes" / "pretrain.py"), flags)
    monkeypatch.setattr(PretrainConfig, "device", torch.device("cuda"))
    monkeypatch.setattr(dry_run_of_training, "gpu_of_this_process", lambda *_: named_gpu("a100-80gb"))
    plan = "\n".join(dry_run_of_training.pretraining_dry_run(config).plan)
    assert "plan: 13,201,986,560 parameters on" in plan
    assert "recipes/plan.py says what to change" in plan  # all of it on one GPU
