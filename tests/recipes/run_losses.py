"""Runs of recipes, and what they are compared by: every loss that they have written."""

import re
import subprocess
import time
from pathlib import Path

import pytest

from nec13b.pretraining.callbacks import read_metrics


def losses(output) -> list[tuple[int, str, float]]:
    """(step, name, value) of every loss of a run, training and held-out."""
    return [
        (row["step"], name, value)
        for row in read_metrics(Path(output))
        for name, value in row.items()
        if name == "loss" or re.fullmatch("eval_.*_loss", name)
    ]


def wait_for_step(output, process, step, log=None):
    """Waits until a run that goes on has logged a step; fails with what it said if it ends before."""
    for _ in range(6000):
        path = output / "metrics.jsonl"
        if path.is_file() and path.read_text().count('"grad_norm"') >= step:
            return
        assert process.poll() is None, log.read_text() if log else process.stdout.read()
        time.sleep(0.01)
    raise AssertionError("the run did not get to that step")


def run(command, **more) -> str:
    """Runs a command to its end and returns what it said; it must not fail."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240, **more)
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


def assert_same(ours, theirs):
    """The same losses at the same steps, up to the order of additions."""
    for (*one, first), (*two, second) in zip(theirs, ours, strict=True):
        assert one == two
        assert second == pytest.approx(first, abs=2e-5)
