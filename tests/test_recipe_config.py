"""Settings: presets, YAML and flags in that order, with the same type checks for both."""

import json
from dataclasses import dataclass, field

import pytest
import yaml

from nec13b.errors import InputError
from nec13b.long_context import ExtendContextConfig
from nec13b.pretraining import PackTokensConfig, PretrainConfig, accumulation_steps
from nec13b.recipe_config import parse_recipe_config
from nec13b.tokenization.settings import TrainTokenizerConfig

RECIPES = {
    "pretrain": PretrainConfig,
    "extend_context": ExtendContextConfig,
    "pack_tokens": PackTokensConfig,
    "train_tokenizer": TrainTokenizerConfig,
}


@dataclass
class Settings:
    """Settings of a recipe that does not exist."""

    steps: int = field(default=1, metadata={"help": "Steps."})
    rate: float = field(default=0.5, metadata={"help": "Rate."})
    name: str | None = field(default="x", metadata={"help": "Name."})
    fast: bool = field(default=False, metadata={"help": "Fast."})
    corpus: list[str] = field(default_factory=lambda: ["sample"], metadata={"help": "Corpus."})


@pytest.fixture
def parse(tmp_path):
    def parse(flags=(), preset="", config=None):
        (tmp_path / "configs" / "tiny").mkdir(parents=True, exist_ok=True)
        (tmp_path / "configs" / "tiny" / "recipe.yaml").write_text(preset)
        if config is not None:
            (tmp_path / "mine.yaml").write_text(config)
            flags = ["--config", str(tmp_path / "mine.yaml"), *flags]
        return parse_recipe_config(Settings, str(tmp_path / "recipe.py"), list(flags))

    return parse


def test_flags_win_over_yaml_and_yaml_over_defaults(parse):
    settings = parse(["--steps", "7"], preset="steps: 3\nrate: 1e-4\ncorpus: [a, b]\nname: null\nfast: true")
    assert settings == Settings(steps=7, rate=1e-4, name=None, fast=True, corpus=["a", "b"])


def test_a_config_takes_the_place_of_the_preset(parse):
    assert parse(preset="steps: 3", config="rate: 2.0") == Settings(rate=2.0)
    assert parse(["--fast"], config="steps: 1_000") == Settings(steps=1000, fast=True)


def test_a_field_that_takes_one_value_or_a_list_takes_both(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("report_to: [tensorboard, wandb]\nmax_steps: 1\nsequence_length: 8\ntokens_per_batch: 64")
    parsed = parse_recipe_config(PretrainConfig, "pretrain.py", ["--config", str(config)])
    assert parsed.report_to == ["tensorboard", "wandb"]


def test_mappings_in_lists_are_passed_on(parse):
    settings = parse(config="corpus:\n  - {location: a.jsonl, domain: ja}\n  - sample")
    assert [json.loads(settings.corpus[0]), settings.corpus[1]] == [{"location": "a.jsonl", "domain": "ja"}, "sample"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("steps: many", "mine.yaml: argument --steps: invalid int value: 'many'"),
        ("steps: 1.5", "invalid int value: '1.5'"),
        ("rate: [1, 2]", "mine.yaml: rate takes one value, not a list"),
        ("fast: maybe", "fast"),
        ("stepz: 1", "mine.yaml: unknown key 'stepz'; did you mean steps?"),
        ("zzzzz: 1", "unknown key 'zzzzz'; --help lists all"),
    ],
)
def test_yaml_is_checked_as_flags_are(parse, config, said):
    with pytest.raises(InputError, match=said) as error:
        parse(config=config)
    assert "\n" not in str(error.value)


PRESETS = [(name, f"{size}/{name}") for name in RECIPES for size in ("tiny", "13b") if name != "extend_context"]
PRESETS += [("extend_context", f) for f in ("tiny/extend_context", "13b/extend_context_8k", "13b/extend_context_32k")]


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_presets_parse(root, name, preset, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    path = root / "recipes" / "configs" / f"{preset}.yaml"
    flags = ["--config", str(path)]
    if name in ("pretrain", "extend_context"):
        flags += ["--bf16", "false", "--cpu_threads", "1"]  # bf16 needs the machine that the preset is for
    config = parse_recipe_config(RECIPES[name], str(root / "recipes" / f"{name}.py"), flags)
    assert set(yaml.safe_load(path.read_text())) <= set(vars(config)) | {"eval_on_start"}


def test_the_13b_preset_is_the_papers_recipe(root):
    values = yaml.safe_load((root / "recipes" / "configs" / "13b" / "pretrain.yaml").read_text())
    assert values["tokens_per_batch"] == 2048 * 2048
    assert (values["learning_rate"], values["min_learning_rate"]) == (1e-4, 1e-5)
    assert values["lr_scheduler_type"] == "cosine_with_min_lr"
    assert (values["adam_beta1"], values["adam_beta2"], values["weight_decay"]) == (0.9, 0.95, 0.1)
    assert (values["max_grad_norm"], values["bf16"], values["activation_checkpointing"]) == (1.0, True, True)
    shape = [values[name] for name in ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")]
    assert shape == [40, 5120, 40, 13824]
    batch = (values["tokens_per_batch"], values["sequence_length"], values["per_device_train_batch_size"])
    assert accumulation_steps(*batch, data_ranks=512) == 1
    assert accumulation_steps(*batch, data_ranks=8) == 64


def test_a_batch_that_processes_cannot_share_names_sizes_that_fit():
    with pytest.raises(InputError, match=r"use tokens_per_batch 4,177,920 or 4,300,800") as error:
        accumulation_steps(4_194_304, 2048, 3, 20)
    assert "2,048 x per_device_train_batch_size 3 x 20 processes = 122,880" in str(error.value)
    with pytest.raises(InputError, match=r"use tokens_per_batch 8,192,"):
        accumulation_steps(4096, 2048, 4, 1)


def test_the_learning_rate_falls_by_cosine_from_highest_to_lowest(tmp_path):
    import torch
    from transformers import get_scheduler

    config = PretrainConfig(
        output_dir=str(tmp_path),
        sequence_length=8,
        tokens_per_batch=64,
        max_steps=1000,
        warmup_steps=0.01,
        cpu_threads=1,
    )
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=config.learning_rate)
    schedule = get_scheduler(
        config.lr_scheduler_type, optimizer, config.get_warmup_steps(1000), 1000, config.lr_scheduler_kwargs
    )
    rates = []
    for _ in range(1000):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates[10] == pytest.approx(1e-4)
    assert rates[505] == pytest.approx(5.5e-5, rel=0.01)
    assert schedule.get_last_lr()[0] == pytest.approx(1e-5)
