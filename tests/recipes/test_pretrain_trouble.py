"""Pre-training when something goes wrong: a bad step, a disk that is full, a checkpoint that is half-written."""

import json
import math
import resource
import subprocess
import sys
import time

import psutil
import pytest
import torch
from safetensors.torch import load_file

from nec13b.pretraining.callbacks import read_metrics
from nec13b.pretraining.checkpoints import all_checkpoints, mark_complete, retire_checkpoints
from nec13b.pretraining.trainer import PretrainTrainer
from nec13b.run_record import alone_in

BAD_STEP = 7


@pytest.fixture
def step_7_is_nan(monkeypatch):
    """The loss and the gradient of step 7 are no numbers, in every run of it."""
    true_step = PretrainTrainer.training_step

    def training_step(self, model, inputs, num_items_in_batch=None):
        loss = true_step(self, model, inputs, num_items_in_batch)
        if self.state.global_step + 1 == BAD_STEP:
            model.lm_head.weight.grad[0, 0] = math.nan
            self.micro_losses[-1] = loss * math.nan
            return loss * math.nan
        return loss

    monkeypatch.setattr(PretrainTrainer, "training_step", training_step)


def steps_and_losses(output) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in read_metrics(output) if "loss" in row]


def test_a_bad_step_stops_the_run_and_keeps_its_batch(step_7_is_nan, run_recipe, small_run, tmp_path):
    output = tmp_path / "run"
    outcome = run_recipe("pretrain", *small_run, "--output_dir", output)
    assert outcome.status == 2
    assert outcome.err.startswith("error: step 7 was not taken: the loss is nan. Its batch is kept in ")
    assert f"the last whole checkpoint is {output / 'checkpoint-4'}" in outcome.err
    page = json.loads((output / "bad_steps" / "step-7.json").read_text())
    assert (page["step"], page["fault"], page["loss"]) == (7, "the loss is nan", "nan")
    assert [row["sequence"] for row in page["sequences"]] == list(range(6 * 16, 7 * 16))
    assert {row["domain"] for row in page["sequences"]} == {"ja", "en", "code"}
    assert page["passes"] == [{"process": 0, "losses": ["nan"] * 8}]
    tokens = load_file(output / "bad_steps" / "step-7.safetensors")["input_ids"]
    assert tokens.shape == (16, 32)
    assert [step for step, _ in steps_and_losses(output)] == list(range(1, 7))
    assert not (output / "left_out.json").exists()
    assert [step for step, _ in all_checkpoints(output)] == [4]


def test_skipping_and_rewinding_come_to_the_same_model(step_7_is_nan, run_recipe, small_run, tmp_path):
    runs = {action: tmp_path / action for action in ("skip", "rewind")}
    said = {}
    for action, output in runs.items():
        outcome = run_recipe("pretrain", *small_run, "--on_bad_step", action, "--output_dir", output)
        assert outcome.status == 0, outcome.err
        said[action] = outcome.out
        assert json.loads((output / "left_out.json").read_text()) == {"7": "the loss is nan"}
        assert "step 7 is left out: the loss is nan" in outcome.out
        left_out = [row for row in read_metrics(output) if "left_out" in row]
        assert [(row["step"], row["left_out"]) for row in left_out] == [(7, "the loss is nan")]
        assert [row["step"] for row in read_metrics(output) if "eval_ja_loss" in row] == [0, 6, 12]
        assert json.loads((output / "run.json").read_text())["counts"]["left_out"] == {"7": "the loss is nan"}
    assert f"going back to {runs['rewind'] / 'checkpoint-4'}" in said["rewind"]
    assert "going back" not in said["skip"]
    weights = [(output / "model" / "model.safetensors").read_bytes() for output in runs.values()]
    assert weights[0] == weights[1]
    one, other = (steps_and_losses(output) for output in runs.values())
    assert [step for step, _ in one] == [step for step, _ in other] == list(range(1, 13))
    assert all(a == b or (math.isnan(a) and math.isnan(b)) for (_, a), (_, b) in zip(one, other))


def test_before_the_first_checkpoint_rewinding_begins_again(step_7_is_nan, run_recipe, small_run, tmp_path):
    output = tmp_path / "run"
    flags = [*small_run, "--save_steps", "100", "--on_bad_step", "rewind", "--output_dir", output]
    outcome = run_recipe("pretrain", *flags)
    assert outcome.status == 0, outcome.err
    assert "going back to the start" in outcome.out
    assert [step for step, _ in steps_and_losses(output)] == list(range(1, 13))


def test_too_many_bad_steps_stop_the_run(run_recipe, small_run, tmp_path):
    flags = ["--learning_rate", "1e9", "--on_bad_step", "skip", "--most_bad_steps", "2", "--max_grad_norm", "0"]
    outcome = run_recipe("pretrain", *small_run, *flags, "--output_dir", tmp_path / "run")
    assert outcome.status == 2
    assert "was not taken" in outcome.err
    assert len(json.loads((tmp_path / "run" / "left_out.json").read_text())) == 2


@pytest.mark.parametrize("background", ["true", pytest.param("false", marks=pytest.mark.slow)])
def test_a_checkpoint_that_cannot_be_written(root, small_run, run_recipe, tmp_path, background):
    """The disk is full, here: no file may be larger than 600 kB, which the initial weights are not, and a state is."""
    output = tmp_path / "run"
    flags = [*small_run, "--checkpoint_in_background", background, "--output_dir", str(output)]
    full = subprocess.run(
        [sys.executable, str(root / "recipes" / "pretrain.py"), *flags],
        capture_output=True,
        text=True,
        timeout=180,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000)),
    )
    assert full.returncode == 2, full.stderr
    errors = [line for line in full.stderr.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert f"{output / 'checkpoint-4'} could not be written ([Errno 27] File too large)" in errors[0]
    assert "Traceback" not in full.stderr
    assert not (output / "checkpoint-4" / "complete.json").exists()
    again = run_recipe("pretrain", *flags)
    assert again.status == 0, again.err
    assert "checkpoint-4 is passed over: it was not finished" in again.out
    assert [step for step, _ in all_checkpoints(output)] == [8, 12]


def test_retention(tmp_path):
    for step in (10, 20, 25, 30, 40, 50):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if step not in (25, 50):
            mark_complete(tmp_path / f"checkpoint-{step}", step, {})
    retire_checkpoints(tmp_path, limit=2, keep_every_steps=20)
    # 25 was left half-written by a run that is gone; 50 may be on its way
    assert [step for step, _ in all_checkpoints(tmp_path)] == [20, 30, 40, 50]
    retire_checkpoints(tmp_path, limit=None, keep_every_steps=0)
    assert [step for step, _ in all_checkpoints(tmp_path)] == [20, 30, 40, 50]
    retire_checkpoints(tmp_path, limit=1, keep_every_steps=0)
    assert [step for step, _ in all_checkpoints(tmp_path)] == [40, 50]


def test_a_checkpoint_is_plain_safetensors(run_recipe, small_run, tmp_path):
    output = tmp_path / "run"
    assert run_recipe("pretrain", *small_run, "--max_steps", "4", "--output_dir", output).status == 0
    files = list((output / "checkpoint-4" / "state").iterdir())
    tensors = {name: tensor for path in files for name, tensor in load_file(path).items()}
    model = load_file(output / "model" / "model.safetensors")
    for name, tensor in model.items():
        assert torch.equal(tensors[f"model.{name}"], tensor)
        assert tensors[f"optimizer.{name}.exp_avg"].shape == tensor.shape
    assert {path.suffix for path in (output / "checkpoint-4").rglob("*") if path.is_file()} == {".json", ".safetensors"}


def test_memory_that_is_full(run_recipe, small_run, tmp_path, monkeypatch):
    def training_step(self, model, inputs, num_items_in_batch=None):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(PretrainTrainer, "training_step", training_step)
    outcome = run_recipe("pretrain", *small_run, "--output_dir", tmp_path / "run")
    assert outcome.status == 2
    assert outcome.err.startswith("error: the memory of cpu is full; the plan has ")
    assert "per_device_train_batch_size" in outcome.err
    assert outcome.err.count("\n") == 1


def test_two_runs_in_one_folder(run_recipe, small_run, tmp_path, monkeypatch):
    monkeypatch.setattr("nec13b.run_record.SECONDS_FOR_OLD_WORKERS", 0)
    output = tmp_path / "run"
    with alone_in(output):
        outcome = run_recipe("pretrain", *small_run, "--output_dir", output)
    assert outcome.status == 2
    assert outcome.err == f"error: another run is at work in {output}; wait for it, or stop it\n"


@pytest.mark.slow
def test_workers_whose_launcher_was_killed_save_and_stop(root, small_run, start_recipe, tmp_path):
    output = tmp_path / "run"
    config = str(root / "accelerate_configs" / "cpu_2proc.yaml")
    launcher = ("-m", "accelerate.commands.launch", "--config_file", config, "--main_process_port", "0")
    flags = [*small_run, "--max_steps", "100000", "--save_steps", "100000", "--output_dir", output]
    process = start_recipe("pretrain", *flags, launcher=launcher, cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not (output / "metrics.jsonl").is_file() or '"loss"' not in (output / "metrics.jsonl").read_text():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    assert (all_checkpoints(output)[-1][1] / "complete.json").is_file()
