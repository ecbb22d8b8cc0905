"""What runs are compared by: every loss that they have written."""

import re
import time
from pathlib import Path

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
