"""The switches of speed and memory: on this machine each gives the same losses, or says in one line why it cannot."""

import json
import shutil

import pytest
from run_losses import losses
from torch.utils.cpp_extension import get_cxx_compiler

from nec13b.pretraining.callbacks import read_metrics

needs_compiler = pytest.mark.skipif(
    shutil.which(get_cxx_compiler()) is None, reason="torch.compile needs a C++ compiler"
)


@pytest.fixture(scope="module")
def short_run(small_run):
    return [*small_run, "--max_steps", "4", "--save_steps", "100", "--eval_steps", "4"]


@pytest.fixture
def plain(short_run, run_recipe, tmp_path):
    output = tmp_path / "plain"
    assert run_recipe("pretrain", *short_run, "--output_dir", output).status == 0
    return losses(output)


@pytest.mark.parametrize(
    "flags",
    [
        ("--loss_chunk_tokens", "0"),
        ("--loss_chunk_tokens", "9"),
        ("--attn_implementation", "eager"),
        ("--activation_checkpointing", "true"),
        ("--dataloader_num_workers", "2"),
        ("--domain_loss_steps", "0"),
        ("--optim", "adamw_torch"),
        pytest.param(("--compile_layers", "true"), marks=[pytest.mark.slow, needs_compiler]),
    ],
    ids=lambda flags: "_".join(flags).removeprefix("--"),
)
def test_the_losses_are_the_same(short_run, plain, run_recipe, tmp_path, flags):
    outcome = run_recipe("pretrain", *short_run, *flags, "--output_dir", tmp_path / "run")
    assert outcome.status == 0, outcome.err
    for (*one, first), (*two, second) in zip(plain, losses(tmp_path / "run"), strict=True):
        assert one == two
        assert second == pytest.approx(first, abs=2e-5)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ("--attn_implementation", "flex_attention"),
            "flex_attention has no backward pass on a CPU",
        ),
        (("--attn_implementation", "flash_attention_2"), "flash_attention_2 needs a GPU; auto takes it where"),
        (("--attn_implementation", "flash"), "attn_implementation must be one of auto, sdpa, "),
        (("--fused_kernels", "liger"), "fused_kernels: liger needs a GPU"),
        (("--on_bad_step", "ignore"), "on_bad_step must be one of stop, skip, rewind, not 'ignore'"),
    ],
)
def test_what_cannot_run_here_says_so(short_run, run_recipe, tmp_path, flags, said):
    outcome = run_recipe("pretrain", *short_run, *flags, "--output_dir", tmp_path / "run")
    assert outcome.status == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_tracker_that_is_not_installed_is_one_line(short_run, run_recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("nec13b.pretraining.config.REPORTERS", ("a_tracker_of_nobody",))
    outcome = run_recipe("pretrain", *short_run, "--report_to", "a_tracker_of_nobody", "--output_dir", tmp_path / "run")
    assert outcome.status == 2
    assert outcome.err == (
        "error: report_to a_tracker_of_nobody needs the package a_tracker_of_nobody: "
        "pip install nec13b[a_tracker_of_nobody]\n"
    )


def test_an_optimizer_that_the_plan_does_not_know_trains_and_resumes(small_run, run_recipe, tmp_path):
    output = tmp_path / "run"
    flags = [*small_run, "--optim", "adafactor", "--output_dir", output]
    outcome = run_recipe("pretrain", *flags)
    assert outcome.status == 0, outcome.err
    assert "the memory of optim 'adafactor' is not known" in outcome.out
    assert "it is counted as AdamW" in outcome.out
    whole = losses(output)
    shutil.rmtree(output / "model")
    shutil.rmtree(output / "checkpoint-12")
    outcome = run_recipe("pretrain", *flags)
    assert f"going on from {output / 'checkpoint-8'}" in outcome.out, outcome.err
    assert losses(output) == whole


def test_the_plan_is_in_the_record_and_in_the_metrics(short_run, run_recipe, tmp_path):
    output = tmp_path / "run"
    outcome = run_recipe("pretrain", *short_run, "--output_dir", output)
    assert "plan: 86,176 parameters on 1 process on the cpu" in outcome.out
    assert "memory: planned" in outcome.out
    record = json.loads((output / "run.json").read_text())
    steps = [row for row in read_metrics(output) if "loss" in row]
    assert record["plan"]["planned_peak_bytes"] == record["plan"]["memory"]["total"]
    assert record["plan"]["measured_peak_bytes"] > 0
    assert all(0 < row["mfu"] < 1 and row["tokens_per_second"] > 0 and row["memory_gib"] > 0 for row in steps)
    assert all(0 <= row["data_wait_seconds"] < row["step_seconds"] for row in steps)
    assert {name for name in steps[0] if name.startswith("loss_")} == {"loss_ja", "loss_en", "loss_code"}
