"""The accelerate configs really run, by as few processes as show what they do: the same losses as one process."""

import importlib.util
import os
import shutil
import signal
import subprocess

import pytest
from run_losses import assert_same, losses, run, wait_for_step

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "processes", "sizes"),
    [
        ("hsdp_64x8", 4, {"dp_replicate": 2, "dp_shard": 2}),
        ("fsdp_cp_1x8", 2, {"dp_shard": 1, "cp": 2}),
    ],
)
def test_it_follows_one_process(command, small_run, one_process, tmp_path, name, processes, sizes):
    run(command(name, processes, small_run, **sizes))
    assert_same(losses(tmp_path / "run"), one_process)
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()


def test_tensor_parallel_it_follows_one_process_and_resumes(command, small_run, one_process, said_by_recipe, tmp_path):
    """Sharded over two pairs of ranks, each of which shares its matrix products; checkpoints are ours here."""
    output = tmp_path / "run"
    again = command("hsdp_tp_64x8", 4, small_run, dp_replicate=1, dp_shard=2, tp=2)
    said = run(again)
    assert "32 x 2 x 4 steps x 2 processes" in said
    whole = losses(output)
    assert_same(whole, one_process)
    weights = (output / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(output / "model")
    shutil.rmtree(output / "checkpoint-12")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(output, elsewhere)
    assert f"going on from {output}/checkpoint-8" in run(again)
    assert losses(output) == whole
    assert (output / "model" / "model.safetensors").read_bytes() == weights
    # The checkpoint is of no layout: one process goes on from it.
    said = said_by_recipe("pretrain", *small_run, "--output_dir", elsewhere)
    assert f"going on from {elsewhere}/checkpoint-8" in said
    assert_same(losses(elsewhere), one_process)


@pytest.mark.parametrize("name", ["zero1_64x8", "zero3_64x8"])
def test_deepspeed_follows_one_process_and_resumes(command, small_run, one_process, tmp_path, name):
    if not importlib.util.find_spec("deepspeed"):
        pytest.skip("deepspeed is not installed: pip install -e '.[deepspeed]' (DS_BUILD_OPS=0 where there is no CUDA)")
    output, again = tmp_path / "run", command(name, 2, small_run)
    environment = {**os.environ, "DS_ACCELERATOR": "cpu"}
    run(again, env=environment)
    assert_same(losses(output), one_process)
    shutil.rmtree(output / "model")
    shutil.rmtree(output / "checkpoint-12")
    assert f"going on from {output}/checkpoint-8" in run(again, env=environment)
    assert_same(losses(output), one_process)


def test_a_killed_rank_ends_the_run_and_the_same_command_goes_on(command, small_run, one_process, tmp_path):
    output, log, again = tmp_path / "run", tmp_path / "log", command("fsdp_1x8", 2, small_run)
    process = subprocess.Popen(again, stdout=log.open("w"), stderr=subprocess.STDOUT)
    try:
        wait_for_step(output, process, 5, log)
        os.kill(workers(process.pid)[1], signal.SIGKILL)
        assert process.wait(60) != 0
    finally:
        process.kill()
    assert "Signal 9 (SIGKILL) received by PID" in log.read_text()
    assert not workers(process.pid)
    assert f"going on from {output}/checkpoint-4" in run(again)
    assert_same(losses(output), one_process)


def workers(launcher: int) -> list[int]:
    """The processes that a launcher has started, in the order of their ranks."""
    found = subprocess.run(["pgrep", "-P", str(launcher)], check=False, capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def test_a_batch_that_the_processes_cannot_share_is_one_line(command, small_run, tmp_path):
    done = subprocess.run(
        command("fsdp_1x8", 2, [*small_run, "--tokens_per_batch", "320"]), capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert lines == [
        "error: tokens_per_batch 320 is not a multiple of sequence_length 32 x per_device_train_batch_size 2 x "
        "2 processes = 128; use tokens_per_batch 256 or 384, or another per_device_train_batch_size"
    ]
    assert not (tmp_path / "run").exists()
