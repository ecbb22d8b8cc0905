"""Alignment as a whole: three references that agree, margins that grow, a run that goes on, limits that end it."""

import json
import re
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM

from nec13b.alignment.align_config import AlignConfig
from nec13b.alignment.align_run import run_alignment
from nec13b.alignment.align_trainer import AlignTrainer
from nec13b.errors import InputError

QUESTIONS = ("春は？", "夏は？", "秋は？", "冬は？", "朝は？", "What is rain?", "昼は？", "夜は？")


@pytest.fixture
def preferences_file(tmp_path) -> Path:
    """64 preferences as JSONL: the polite answer was chosen."""
    path = tmp_path / "preferences.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(64):
            question = f"{number}番。{QUESTIONS[number % len(QUESTIONS)]}"
            row = {
                "prompt": [{"role": "user", "content": question}],
                "chosen": [{"role": "assistant", "content": f"はい、{number}でございます。"}],
                "rejected": [{"role": "assistant", "content": f"知らないよ、{number}なんて。"}],
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def config(base: Path, output: Path, preferences: Path, **changes) -> AlignConfig:
    values = {
        "model": str(base), "output_dir": str(output), "preferences": [str(preferences)], "max_length": 96,
        "rows_per_batch": 4, "per_device_train_batch_size": 2, "per_device_eval_batch_size": 3, "max_steps": 6,
        "learning_rate": 1e-2, "eval_steps": 3, "save_steps": 3, "held_out_fraction": 0.2, "cpu_threads": 1,
        "disable_tqdm": True, "bf16": False, "eval_samples": 3, "sample_tokens": 6, "skip_checks": CHECKS_LEFT_OUT,
    }  # fmt: skip
    return AlignConfig(**{**values, **changes})


CHECKS_LEFT_OUT = ["near_duplicates", "near_same_answers"]  # the answers are alike on purpose


def rows_of(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def losses_of(output: Path) -> list[tuple[int, str, float]]:
    return [
        (row["step"], name, value)
        for row in rows_of(output)
        for name, value in row.items()
        if name in ("loss", "held_out_margin", "held_out_accuracy") or re.fullmatch("eval_.*_loss", name)
    ]


def assert_same_losses(first: Path, second: Path, tolerance: float) -> None:
    one, two = losses_of(first), losses_of(second)
    assert [key for *key, _ in one] == [key for *key, _ in two]
    assert [value for *_, value in two] == pytest.approx([value for *_, value in one], abs=tolerance)
    assert len({value for _, name, value in one if name == "loss"}) > 3


def test_three_references_give_the_same_losses(tiny_checkpoint, tmp_path, preferences_file):
    flags = {"adapter": "lora", "lora_rank": 4, "loss_type": ["sigmoid", "sigmoid_norm"], "eval_samples": 0}
    for reference in ("adapter_off", "precomputed", "model"):
        run_alignment(config(tiny_checkpoint, tmp_path / reference, preferences_file, reference=reference, **flags))
    # Two models compute the same operations. Before the first step, the batches and their padding are others.
    assert_same_losses(tmp_path / "adapter_off", tmp_path / "model", 1e-7)
    assert_same_losses(tmp_path / "adapter_off", tmp_path / "precomputed", 2e-5)


def test_without_an_adapter_two_references_give_the_same_losses(tiny_checkpoint, tmp_path, preferences_file):
    for reference in ("precomputed", "model"):
        run_alignment(config(tiny_checkpoint, tmp_path / reference, preferences_file, reference=reference,
                             learning_rate=1e-3, eval_samples=0))  # fmt: skip
    assert_same_losses(tmp_path / "model", tmp_path / "precomputed", 2e-5)


def test_the_model_learns_what_was_preferred(tiny_checkpoint, tmp_path, preferences_file, capsys):
    output = tmp_path / "run"
    run_alignment(config(tiny_checkpoint, output, preferences_file, max_steps=12, learning_rate=2e-3,
                         sample_questions=["春は？"], reference="model", eval_steps=6, save_steps=6))  # fmt: skip
    said = capsys.readouterr().out
    rows = [row for row in rows_of(output) if "held_out_accuracy" in row]
    assert [row["step"] for row in rows] == [0, 6, 12]
    first, last = rows[0], rows[-1]
    assert first["held_out_accuracy"] == 0.5
    assert first["held_out_margin"] == 0
    assert first["kl"] == pytest.approx(0, abs=1e-6)
    assert first["length_ratio"] == 1
    assert last["held_out_accuracy"] > 0.9
    assert last["held_out_margin"] > 0.1
    assert last["kl"] > 1e-5
    assert "held-out accuracy 50.0% -> " in said
    assert "Next: python -m nec13b.chat" in said
    record = json.loads((output / "run.json").read_text())
    assert record["metrics"]["at_end"]["held_out_accuracy"] == last["held_out_accuracy"]
    assert record["metrics"]["accuracy"] == {"preferences": last["held_out_accuracy"]}
    names = {path.name for path in output.iterdir()}
    assert {"model", "loss.png", "alignment.png", "samples.md", "reference", "checkpoint-12"} <= names
    assert AutoModelForCausalLM.from_pretrained(output / "model").config.use_cache


def interrupted(settings: AlignConfig, after: int) -> None:
    """Runs until a step and stops there as a crash would."""
    original = AlignTrainer.training_step

    def step(self, *args, **kwargs):
        if self.state.global_step >= after:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    AlignTrainer.training_step = step
    try:
        with pytest.raises(KeyboardInterrupt):
            run_alignment(settings)
    finally:
        AlignTrainer.training_step = original


@pytest.mark.parametrize("flags", [{}, {"adapter": "lora", "lora_rank": 4, "merge_adapter": True}])
def test_it_goes_on_where_it_stopped(tiny_checkpoint, tmp_path, preferences_file, flags, monkeypatch, capsys):
    flags = {**flags, "sample_questions": ["春は？"]}
    whole, parts = (config(tiny_checkpoint, tmp_path / name, preferences_file, **flags) for name in ("whole", "parts"))
    run_alignment(whole)
    interrupted(parts, after=4)

    def not_again(*args, **kwargs):
        raise AssertionError("what the reference says is on disk")

    monkeypatch.setattr(AlignTrainer, "compute_ref_log_probs", not_again)
    run_alignment(config(tiny_checkpoint, tmp_path / "parts", preferences_file, **flags))
    assert "going on from" in capsys.readouterr().out
    assert losses_of(tmp_path / "parts") == losses_of(tmp_path / "whole")
    same = AutoModelForCausalLM.from_pretrained(tmp_path / "parts" / "model").state_dict()
    for name, tensor in AutoModelForCausalLM.from_pretrained(tmp_path / "whole" / "model").state_dict().items():
        assert torch.equal(tensor, same[name]), name
    assert (tmp_path / "parts" / "samples.md").read_text() == (tmp_path / "whole" / "samples.md").read_text()
    if flags.get("adapter"):
        AutoPeftModelForCausalLM.from_pretrained(tmp_path / "parts" / "adapter")
    with pytest.raises(InputError, match="beta"):
        run_alignment(config(tiny_checkpoint, tmp_path / "parts", preferences_file, beta=0.2, **flags))


def test_a_sign_of_reward_hacking_ends_the_run(tiny_checkpoint, tmp_path, preferences_file):
    output = tmp_path / "run"
    settings = config(tiny_checkpoint, output, preferences_file, adapter="lora", reference="adapter_off", max_kl=1e-9,
                      eval_steps=2, save_steps=2)  # fmt: skip
    with pytest.raises(InputError, match="above max_kl") as stopped:
        run_alignment(settings)
    assert "ends at step 2" in str(stopped.value)
    assert "no checkpoint is from before" in str(stopped.value)
    assert (output / "alignment.png").is_file()
    assert not (output / "run.json").exists()
