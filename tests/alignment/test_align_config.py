"""Settings of an alignment that fit together, and those that do not."""

import pytest

from nec13b.alignment.align_config import AlignConfig
from nec13b.errors import InputError


def config(**changes) -> AlignConfig:
    return AlignConfig(**{"model": "x", "bf16": False, "per_device_train_batch_size": 8, **changes})


def test_the_default_keeps_no_second_model():
    settings = config()
    assert settings.precompute_ref_log_probs
    assert not settings.keeps_reference
    assert settings.loss_type == ["sigmoid"]
    assert settings.gradient_accumulation_steps == 8
    assert not config(reference="model").precompute_ref_log_probs
    assert config(reference="precomputed", adapter="lora").keeps_reference


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": "none"}, "reference must be one of precomputed, adapter_off, model"),
        ({"reference": "adapter_off"}, "needs an adapter"),
        ({"reference": "model", "precompute_ref_log_probs": True}, "follows from reference"),
        ({"sync_ref_model": True}, "sync_ref_model needs reference model"),
        ({"reference": "model", "adapter": "lora", "sync_ref_model": True}, "sync_ref_model needs reference model"),
        ({"padding_free": True}, "padding_free"),
        ({"adapter": "lora", "lora_dropout": 0.1}, "lora_dropout has no effect"),
        ({"label_smoothing": 0.1}, "no effect on the loss sigmoid"),
        ({"eval_preferences": 0}, "eval_preferences"),
        ({"max_kl": -1.0}, "max_kl must be at least 0"),
        ({"max_kl": 0.1}, "needs a reference to ask"),
        ({"max_kl": 0.1, "adapter": "lora", "eval_samples": 0}, "eval_samples above 0"),
        ({"max_length_ratio": 2.0, "eval_on_start": False}, "eval_on_start true"),
        ({"max_chosen_drop": 1.0, "eval_strategy": "no"}, "eval_strategy no has none"),
        ({"max_chosen_drop": 1.0, "eval_steps": 20, "save_steps": 30}, "no multiple of eval_steps"),
        ({"max_falls": 2, "eval_steps": 20, "save_steps": 20, "save_total_limit": 2}, "save_total_limit above it"),
        ({"rows_per_batch": 12}, "not a multiple"),
        ({"held_out_fraction": 1.0}, "held_out_fraction"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        config(**changes)


@pytest.mark.parametrize("name", ["tiny", "13b"])
def test_the_presets_are_valid(root, name):
    import yaml

    for path in sorted((root / "recipes" / "configs" / name).glob("align*.yaml")):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert AlignConfig(**{**values, "bf16": False}).output_dir.startswith("runs/"), path
