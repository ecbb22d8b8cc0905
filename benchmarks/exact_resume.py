"""Kills a pre-training run at random moments, goes on, and compares what comes out with a run that nobody killed.

python benchmarks/exact_resume.py [--kills 20] [--processes 1 2]     writes its table into benchmarks/RESULTS.md

A third of the kills hit a step, a third a checkpoint that is being written, a third an evaluation. With two processes
every other kill takes only one of them: the launcher has to notice, and to end the other.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from results import machine, table, write_section
from safetensors.torch import load_file

from nec13b.pretraining.callbacks import read_metrics

ROOT = Path(__file__).parent.parent
MOMENTS = ("in a step", "in a checkpoint", "in an evaluation")
STEPS, SAVE_STEPS, EVAL_STEPS = 60, 10, 15
SHAPE = [
    "--hidden_size", "64", "--intermediate_size", "128", "--num_hidden_layers", "3", "--num_attention_heads", "2",
    "--vocab_size", "1024", "--tokenizer_characters", "200000", "--sequence_length", "64", "--tokens_per_batch", "2048",
    "--per_device_train_batch_size", "4", "--max_steps", str(STEPS), "--save_steps", str(SAVE_STEPS), "--eval_steps",
    str(EVAL_STEPS), "--eval_sequences", "64", "--per_device_eval_batch_size", "1", "--warmup_steps", "4",
    "--cpu_threads", "1", "--sample_tokens", "1", "--eval_on_start", "false",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        # Tokens, tokenizer and initial weights are made once.
        run(base, 1, ["--max_steps", "1"])
        given = ["--tokens", str(base / "tokens"), "--tokenizer", str(base / "tokenizer")]
        for processes in arguments.processes:
            whole = Path(folder) / f"whole-{processes}"
            started = time.monotonic()
            run(whole, processes, given)
            seconds = time.monotonic() - started
            draw = random.Random(arguments.seed + processes)
            found = [
                kill_and_go_on(Path(folder) / f"run-{processes}-{i}", whole, processes, given, MOMENTS[i % 3], draw, i)
                for i in range(arguments.kills)
            ]
            for moment in MOMENTS:
                mine = [one for one in found if one["moment"] == moment]
                steps = ", ".join(str(one["killed_at"]) for one in mine)
                rows.append([
                    str(processes), moment, str(len(mine)), steps, str(sum(one["identical"] for one in mine)),
                    f"{max((one['difference'] for one in mine), default=0):.1e}",
                    f"{max((one['seconds_to_end'] for one in mine), default=0):.1f}",
                ])  # fmt: skip
            print(f"{processes} processes: a run takes {seconds:.0f} s", flush=True)
    head = ["processes", "killed", "times", "after step", "identical", "largest difference", "s until all had ended"]
    body = (
        f"`python benchmarks/exact_resume.py --kills {arguments.kills}` on {machine()}: {STEPS} steps, a checkpoint "
        f"every {SAVE_STEPS}, an evaluation every {EVAL_STEPS}. Identical: every training and held-out loss and every "
        "weight, bit for bit, those of a run that nobody killed; the largest difference is over both. With two "
        "processes every other kill hits one of them.\n\n"
    )
    write_section("Exact resume after kill -9", body + table(head, rows))


def command(output: Path, processes: int, flags: list[str]) -> list[str]:
    launcher = []
    if processes > 1:
        config = str(ROOT / "accelerate_configs" / "cpu_2proc.yaml")
        launcher = ["-m", "accelerate.commands.launch", "--config_file", config, "--num_processes", str(processes),
                    "--main_process_port", "0"]  # fmt: skip
    return [
        sys.executable,
        *launcher,
        str(ROOT / "recipes" / "pretrain.py"),
        *SHAPE,
        *flags,
        "--output_dir",
        str(output),
    ]


def run(output: Path, processes: int, flags: list[str]) -> str:
    done = subprocess.run(command(output, processes, flags), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the run failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def kill_and_go_on(
    output: Path, whole: Path, processes: int, flags: list[str], moment: str, draw: random.Random, number: int
) -> dict:
    """One kill: what it hit, and whether the run that went on came to the same end."""
    with (output.parent / "log").open("w") as log:
        process = subprocess.Popen(
            command(output, processes, flags), stdout=log, stderr=log, start_new_session=True, cwd=output.parent
        )
        wait_for(moment, output, draw, process)
        one_of_them = processes > 1 and number % 2
        if one_of_them:
            os.kill(draw.choice(workers(process)), signal.SIGKILL)
        else:
            for pid in [process.pid, *workers(process)]:
                os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        process.wait(timeout=300)
        seconds = time.monotonic() - began
    killed_at = steps_logged(output)
    said = run(output, processes, flags)
    differences = []
    for one, other in zip(losses(output), losses(whole), strict=True):
        assert one[:2] == other[:2]
        differences.append(abs(one[2] - other[2]))
    weights = [load_file(folder / "model" / "model.safetensors") for folder in (output, whole)]
    differences += [(weights[0][name] - weights[1][name]).abs().max().item() for name in weights[1]]
    result = {
        "moment": moment,
        "killed_at": killed_at,
        "resumed": (re.search(r"going on from \S*checkpoint-(\d+)", said) or [None, "the start"])[1],
        "difference": max(differences),
        "identical": max(differences) == 0 and all(torch.equal(weights[0][n], weights[1][n]) for n in weights[1]),
        "seconds_to_end": seconds,
    }
    print(processes, "one of them" if one_of_them else "all", result, flush=True)
    shutil.rmtree(output)
    return result


def workers(launcher: subprocess.Popen) -> list[int]:
    return [child.pid for child in psutil.Process(launcher.pid).children(recursive=True)]


def wait_for(moment: str, output: Path, draw: random.Random, process: subprocess.Popen) -> None:
    """Returns when the run is at a moment of this kind, at a place drawn by chance."""
    if moment == "in a step":
        target = draw.randrange(1, STEPS - 1)
        _until(lambda: steps_logged(output) >= target, process)
        time.sleep(draw.uniform(0, 0.1))
    elif moment == "in a checkpoint":
        step = SAVE_STEPS * draw.randrange(1, STEPS // SAVE_STEPS)
        _until(lambda: (output / f"checkpoint-{step}").is_dir(), process)
        time.sleep(draw.uniform(0, 0.01))
    else:
        step = EVAL_STEPS * draw.randrange(1, STEPS // EVAL_STEPS)
        _until(lambda: steps_logged(output) >= step, process)
        time.sleep(draw.uniform(0, 0.2))


def _until(condition, process: subprocess.Popen) -> None:
    while not condition():
        if process.poll() is not None:
            raise SystemExit("the run ended before it was killed")
        time.sleep(0.002)


def steps_logged(output: Path) -> int:
    path = output / "metrics.jsonl"
    return path.read_text().count('"grad_norm"') if path.is_file() else 0


def losses(output: Path) -> list[tuple[int, str, float]]:
    return [
        (row["step"], name, value)
        for row in read_metrics(output)
        for name, value in row.items()
        if name == "loss" or re.fullmatch("eval_.*_loss", name)
    ]


if __name__ == "__main__":
    main()
