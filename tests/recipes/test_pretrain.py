"""Pre-training as a user runs it: what it leaves, how it resumes, how it fails."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
import torch
import yaml
from run_losses import losses, wait_for_step
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from nec13b.pretraining import HeldOutSequences, TokenShards
from nec13b.pretraining.callbacks import StopOnSignal, read_metrics

ACCELERATE = ("-m", "accelerate.commands.launch", "--config_file")


def test_a_run_leaves_everything_it_promises(uninterrupted, tokenizer):
    model = AutoModelForCausalLM.from_pretrained(uninterrupted / "model")
    assert AutoTokenizer.from_pretrained(uninterrupted / "model").get_vocab() == tokenizer.tokenizer.get_vocab()
    record = json.loads((uninterrupted / "run.json").read_text())
    assert record["counts"]["parameters"] == model.num_parameters()
    assert (record["counts"]["steps"], record["counts"]["tokens"]) == (12, 12 * 512)
    assert record["inputs"]["tokenizer"] == tokenizer.fingerprint
    assert record["config"]["sequence_length"] == 32
    assert record["versions"]["transformers"]
    assert record["timings_seconds"]["training"] > 0
    assert set(record["metrics"]["held_out_loss"]) == {"ja", "en", "code"}
    start = record["metrics"]["held_out_loss_at_start"]
    assert all(abs(loss - math.log(1024)) < 0.3 for loss in start.values())
    assert all(record["metrics"]["held_out_loss"][domain] < start[domain] for domain in start)
    assert (uninterrupted / "loss.png").read_bytes().startswith(b"\x89PNG")
    samples = (uninterrupted / "samples.md").read_text()
    assert samples.count("before training") == samples.count("after training") == 3
    # two checkpoints are kept, each whole
    assert sorted(path.name for path in uninterrupted.glob("checkpoint-*")) == ["checkpoint-12", "checkpoint-8"]
    assert not [path for path in uninterrupted.rglob("*") if path.suffix == ".bin" or path.name.endswith(".tmp")]


def test_the_held_out_loss_is_the_models(uninterrupted, tokens):
    """The reported loss, computed again by hand from the saved model and the shards."""
    model = AutoModelForCausalLM.from_pretrained(uninterrupted / "model")
    stream = TokenShards.open(tokens).streams["held_out"]["ja"]
    sequences = HeldOutSequences(stream, 32, 8)
    ids = torch.stack([torch.from_numpy(sequences[i]["input_ids"]) for i in range(len(sequences))])
    with torch.no_grad():
        logits = model(ids).logits
    by_hand = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    reported = json.loads((uninterrupted / "run.json").read_text())["metrics"]["held_out_loss"]["ja"]
    assert reported == pytest.approx(by_hand.item(), abs=1e-5)


def test_a_finished_run_is_not_run_again(uninterrupted, small_run, run_recipe):
    before = (uninterrupted / "run.json").read_bytes()
    outcome = run_recipe("pretrain", *small_run, "--output_dir", uninterrupted)
    assert outcome.status == 0
    assert "complete" in outcome.out
    assert (uninterrupted / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    "kill_at", [1, 5, 8, pytest.param(3, marks=pytest.mark.slow), pytest.param(11, marks=pytest.mark.slow)]
)
def test_killed_at_any_step_and_resumed_the_trajectory_is_the_same(
    uninterrupted, small_run, run_recipe, start_recipe, tmp_path, kill_at
):
    output = tmp_path / "run"
    process = start_recipe("pretrain", *small_run, "--output_dir", output)
    wait_for_step(output, process, kill_at)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    outcome = run_recipe("pretrain", *small_run, "--output_dir", output)
    assert outcome.status == 0, outcome.err
    assert losses(output) == losses(uninterrupted)
    weights = [(run / "model" / "model.safetensors").read_bytes() for run in (output, uninterrupted)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_saves_and_goes_on_from_that_step(
    uninterrupted, small_run, run_recipe, start_recipe, tmp_path, number
):
    output = tmp_path / "run"
    process = start_recipe("pretrain", *small_run, "--save_steps", "1000", "--output_dir", output)
    wait_for_step(output, process, 2)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "the same command goes on from there" in said
    checkpoint = next(output.glob("checkpoint-*"))
    outcome = run_recipe("pretrain", *small_run, "--save_steps", "1000", "--output_dir", output)
    assert f"going on from {checkpoint}" in outcome.out
    assert losses(output) == losses(uninterrupted)


@pytest.mark.parametrize("damage", ["cut in half", "not finished", "state missing"])
def test_a_damaged_checkpoint_is_passed_over(uninterrupted, small_run, run_recipe, tmp_path, damage):
    output = tmp_path / "run"
    shutil.copytree(uninterrupted, output)
    shutil.rmtree(output / "model")  # as if the end had not been reached
    newest = output / "checkpoint-12"
    if damage == "cut in half":
        weights = next(newest.glob("state/*.safetensors"))
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    elif damage == "not finished":
        (newest / "complete.json").unlink()
    else:
        shutil.rmtree(newest / "state")
    outcome = run_recipe("pretrain", *small_run, "--output_dir", output)
    assert outcome.status == 0, outcome.err
    assert "checkpoint-12 is passed over" in outcome.out
    assert "going on from" in outcome.out
    assert losses(output) == losses(uninterrupted)


def test_going_on_from_a_named_checkpoint(uninterrupted, small_run, run_recipe, tmp_path):
    output = tmp_path / "run"
    flags = [*small_run, "--output_dir", output, "--resume_from_checkpoint"]
    outcome = run_recipe("pretrain", *flags, uninterrupted / "checkpoint-8")
    assert outcome.status == 0, outcome.err
    assert losses(output) == losses(uninterrupted)
    outcome = run_recipe("pretrain", *flags, tmp_path / "checkpoint-9")
    assert outcome.status == 2
    assert "it does not exist; without the flag the last whole one is taken" in outcome.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--learning_rate", "0.1"], "learning_rate = 0.003, now it is 0.1"),
        (["--seed", "7"], "seed = 42, now it is 7"),
        (["--mixture", "ja=1"], "mixture = .* now it is {'ja': 1.0}"),
        (["--num_hidden_layers", "3"], "num_hidden_layers = 2, now it is 3"),
    ],
)
def test_a_run_does_not_go_on_under_other_settings(uninterrupted, small_run, run_recipe, flags, said):
    outcome = run_recipe("pretrain", *small_run, "--output_dir", uninterrupted, *flags)
    assert outcome.status == 2
    assert re.search(said, outcome.err)
    assert outcome.err.count("\n") == 1
    assert "--overwrite_output_dir" in outcome.err


def test_two_processes_follow_one(uninterrupted, small_run, start_recipe, root, tmp_path):
    output = tmp_path / "run"
    launcher = (*ACCELERATE, str(root / "accelerate_configs" / "cpu_2proc.yaml"), "--main_process_port", "0")
    flags = [*small_run, "--time_split_steps", "5", "--output_dir", output]
    process = start_recipe("pretrain", *flags, launcher=launcher, cwd=tmp_path)
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 0, said
    assert said.count("held-out ja") >= 1
    profiled = {row["step"]: row for row in read_metrics(output) if "communication_seconds" in row}
    assert set(profiled) == {5, 10}
    for row in profiled.values():
        assert 0 < row["exposed_communication_seconds"] <= row["communication_seconds"] < row["profiled_step_seconds"]
    one, two = losses(uninterrupted), losses(output)
    assert [point[:2] for point in one] == [point[:2] for point in two]
    for (_, _, first), (_, _, second) in zip(one, two):
        assert second == pytest.approx(first, abs=2e-5)


@pytest.mark.slow
def test_sharded_over_two_processes_it_follows_one_and_resumes(uninterrupted, small_run, root, tmp_path):
    """The 8-GPU config with two processes on the CPU: FSDP2, sharded checkpoints, a whole model at the end."""
    config = yaml.safe_load((root / "accelerate_configs" / "fsdp_1x8.yaml").read_text())
    path = tmp_path / "fsdp.yaml"
    path.write_text(yaml.safe_dump(config | {"num_processes": 2, "mixed_precision": "no"}))
    output = tmp_path / "run"
    command = [sys.executable, *ACCELERATE, str(path), "--main_process_port", "0"]
    command += [str(root / "tests" / "recipes" / "cpu_as_gpu.py"), str(root / "recipes" / "pretrain.py")]
    command += [*small_run, "--output_dir", str(output)]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    assert len(list((output / "checkpoint-8" / "state").iterdir())) == 2
    whole = losses(output)
    for (*one, first), (*two, second) in zip(losses(uninterrupted), whole, strict=True):
        assert one == two
        assert second == pytest.approx(first, abs=2e-5)
    model = json.loads((output / "model" / "config.json").read_text())
    assert model["auto_map"]["AutoModelForCausalLM"] == "modeling_nec13b.Nec13bForCausalLM"
    assert model["architectures"] == ["Nec13bForCausalLM"]
    weights = (output / "model" / "model.safetensors").read_bytes()
    AutoModelForCausalLM.from_pretrained(output / "model")

    shutil.rmtree(output / "model")
    shutil.rmtree(output / "checkpoint-12")
    again = subprocess.run(command, check=True, capture_output=True, text=True, timeout=180)
    assert "going on from" in again.stdout
    assert losses(output) == whole
    assert (output / "model" / "model.safetensors").read_bytes() == weights


def test_launched_from_another_folder_it_goes_on_from_a_llama_checkpoint(small_run, start_recipe, root, tmp_path):
    shape = LlamaConfig(
        vocab_size=1024,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    LlamaForCausalLM(shape).save_pretrained(tmp_path / "llama")
    launcher = (*ACCELERATE, str(root / "accelerate_configs" / "cpu.yaml"))
    flags = [*small_run, "--model", "llama", "--max_steps", "3", "--output_dir", "here"]
    process = start_recipe("pretrain", *flags, launcher=launcher, cwd=tmp_path)
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 0, said
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "here" / "model")
    assert (model.config.model_type, model.config.num_key_value_heads) == ("nec13b", 2)


def test_from_raw_text_with_bad_lines_to_a_model(run_recipe, small_run, small_corpus, tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_bytes(small_corpus.read_bytes() + b'{"text": "\xff"}\n{"text": \n{"body": "x"}\n')
    flags = [*small_run[4:], "--max_steps", "2", "--corpus", str(corpus), "--vocab_size", "600", "--output_dir"]
    flags += [str(tmp_path / "run"), "--held_out_fraction", "0.2"]
    outcome = run_recipe("pretrain", *flags)
    assert outcome.status == 0, outcome.err
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert sum(record["counts"]["rejected"].values()) == 3
    assert len((tmp_path / "run" / "rejected.jsonl").read_text().splitlines()) == 3
    assert record["counts"]["streams"]["train/ja"]["documents"] > 0
    # the same folder with another corpus is refused, not mixed
    outcome = run_recipe("pretrain", *flags, "--vocab_size", "700")
    assert outcome.status == 2
    assert "holds the tokens of another corpus or tokenizer" in outcome.err


@pytest.mark.parametrize(
    ("config", "flags", "said"),
    [
        ({"learning_rat": 1e-3}, [], "unknown key 'learning_rat'; did you mean learning_rate?"),
        ({"hidden_size": "wide"}, [], "argument --hidden_size.*invalid int value: 'wide'"),
        ({"max_steps": 1.5}, [], "invalid int value: '1.5'"),
        ({"corpus": ["nowhere.jsonl"]}, [], "corpus path nowhere.jsonl does not exist"),
        ("- a list", [], "must hold key: value pairs, not a list"),
        ("a: [1", [], "is not valid YAML"),
        (None, ["--config", "nowhere.yaml"], "cannot read config nowhere.yaml"),
        ({}, ["--hiden_size", "3"], "unknown flag --hiden_size; did you mean hidden_size?"),
        ({}, ["stray"], "unexpected argument 'stray'"),
        ({}, ["--tokens_per_batch", "1000"], "tokens_per_batch 1,000 is not a multiple of .* use tokens_per_batch"),
        ({}, ["--gradient_accumulation_steps", "2"], "follows from tokens_per_batch"),
        ({}, ["--tokens", "nowhere"], "needs --tokenizer"),
        ({}, ["--mixture", "ja:1"], "mixture must look like"),
        ({}, ["--train_tokens", "10", "--max_steps", "-1"], "less than one batch"),
        ({}, ["--held_out_fraction", "1.5"], "held_out_fraction must lie between 0 and 1"),
        ({}, ["--corpus", "nowhere/*.jsonl"], "matches no file"),
    ],
)
def test_mistakes_end_in_one_line_before_any_work(run_recipe, tmp_path, monkeypatch, config, flags, said):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    base = {"output_dir": "out", "sequence_length": 32, "tokens_per_batch": 64, "per_device_train_batch_size": 2,
            "max_steps": 2}  # fmt: skip
    if isinstance(config, dict):
        path.write_text(yaml.safe_dump(base | config))
    elif config:
        path.write_text(config)
    outcome = run_recipe("pretrain", *(["--config", path] if config is not None else []), *flags)
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("error: ")
    assert re.search(said, outcome.err), outcome.err
    assert not (tmp_path / "out").exists()


def test_empty_corpus(run_recipe, tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n")
    outcome = run_recipe("pretrain", "--corpus", tmp_path / "empty.jsonl", "--output_dir", tmp_path / "out")
    assert outcome.status == 2
    assert "corpus is empty" in outcome.err
    assert outcome.err.count("\n") == 1


def test_an_impossible_shape_is_one_line(run_recipe, small_run, tmp_path):
    outcome = run_recipe("pretrain", *small_run, "--num_attention_heads", "5", "--output_dir", tmp_path / "out")
    assert outcome.status == 2
    assert "not a multiple of the number of attention heads" in outcome.err
    assert outcome.err.count("\n") == 1


def test_wandb_offline_when_asked_for(run_recipe, small_run, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", "secret" * 8)
    monkeypatch.chdir(tmp_path)
    outcome = run_recipe(
        "pretrain", *small_run, "--max_steps", "2", "--report_to", "wandb", "--output_dir", tmp_path / "out"
    )
    assert outcome.status == 0, outcome.err
    assert list(tmp_path.glob("wandb/offline-run-*"))
    assert "secretsecret" not in (tmp_path / "out" / "run.json").read_text()


def test_a_signal_passed_on_by_the_launcher_is_not_a_second_one():
    stop = StopOnSignal()
    stop._receive(signal.SIGINT, None)
    stop._receive(signal.SIGINT, None)
    stop._receive(signal.SIGTERM, None)
    stop.received -= stop.SECONDS_OF_ECHO + 1
    stop._receive(signal.SIGTERM, None)
    with pytest.raises(KeyboardInterrupt):
        stop._receive(signal.SIGINT, None)


def test_files_that_are_not_of_a_run_are_never_touched(run_recipe, small_run, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("more work")
    for flags in ([], ["--overwrite_output_dir"]):
        outcome = run_recipe("pretrain", *small_run, "--output_dir", tmp_path, *flags)
        assert outcome.status == 2
        assert "holds files that are not of a run" in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "thesis.txt"]


def test_overwriting_removes_the_old_run_and_nothing_else(uninterrupted, small_run, run_recipe, tmp_path):
    output = tmp_path / "run"
    shutil.copytree(uninterrupted, output)
    (output / "notes.txt").write_text("mine")
    outcome = run_recipe(
        "pretrain",
        *small_run,
        "--max_steps",
        "2",
        "--learning_rate",
        "0.01",
        "--output_dir",
        output,
        "--overwrite_output_dir",
    )
    assert outcome.status == 0, outcome.err
    assert [path.name for path in output.glob("checkpoint-*")] == ["checkpoint-2"]
    assert (output / "notes.txt").read_text() == "mine"
