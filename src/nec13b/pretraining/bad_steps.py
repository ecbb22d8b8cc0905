"""A loss that is no number, or leaps up: noticed before the weights change, on every process at the same step.

What happens then is the user's choice (`on_bad_step`): stop; leave the step out, as if its gradient had never been; or
go back to the last whole checkpoint and leave it out when it comes again. The batch is kept for inspection in any case,
and `left_out.json` remembers the steps, so that a resumed run leaves out the same ones.
"""

import collections
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from ..errors import InputError
from ..run_record import read_json, write_json

LEFT_OUT_NAME = "left_out.json"
FOLDER_NAME = "bad_steps"
WINDOW = 100  # losses that a new one is compared with
FEWEST = 20  # before that many there is nothing to compare with
PREVIEW_TOKENS = 64


class GoBack(Exception):
    """Training is to go on from the last whole checkpoint."""


@dataclass
class Step:
    """What is known of an optimizer step before it is taken.

    Attributes:
        number: counted from 1.
        loss: nats per token over all processes.
        grad_norm: before clipping.
    """

    number: int
    loss: float
    grad_norm: float


class LossWatch:
    """Says of each step what is wrong with it.

    Args:
        threshold: nats above the median of the last losses that make a leap; 0 looks only for what is no number.
        losses: the last losses of a run that is resumed.
    """

    def __init__(self, threshold: float, losses: list[float] | None = None):
        self.threshold = threshold
        self.losses = collections.deque(losses or [], maxlen=WINDOW)

    def fault(self, step: Step) -> str | None:
        """What is wrong with the step, or None; a good step's loss is remembered."""
        if not math.isfinite(step.loss):
            return f"the loss is {step.loss}"
        if not math.isfinite(step.grad_norm):
            return f"the gradient norm is {step.grad_norm} (loss {step.loss:.3f})"
        if self.threshold > 0 and len(self.losses) >= FEWEST:
            median = statistics.median(self.losses)
            if step.loss > median + self.threshold:
                return f"the loss leapt to {step.loss:.3f}, from a median of {median:.3f} in the steps before"
        self.losses.append(step.loss)
        return None


class LeftOut:
    """The steps that a run leaves out, in `left_out.json` of its folder."""

    def __init__(self, output_dir: Path):
        self.path = output_dir / LEFT_OUT_NAME
        self.steps: dict[int, str] = {}
        if self.path.is_file():
            found = read_json(self.path, "recipes/pretrain.py")
            self.steps = {int(step): reason for step, reason in found.items()}

    def add(self, step: int, reason: str, write: bool) -> None:
        """Remembers a step; `write` is true on one process."""
        self.steps[step] = reason
        if write:
            write_json(self.path, {str(number): why for number, why in sorted(self.steps.items())})


def save_batch(output_dir: Path, step: Step, fault: str, sequences, first: int, count: int, losses, tokenizer) -> Path:
    """Keeps the sequences of a step: their tokens as safetensors, and a JSON page that a person can read.

    Args:
        output_dir: the run's folder.
        step, fault: what was seen.
        sequences: the training data.
        first, count: the step's sequences in the order of the data.
        losses: (process, loss of each of its passes), the passes in order.
        tokenizer: for a preview of each text.

    Returns:
        The JSON file.
    """
    folder = output_dir / FOLDER_NAME
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"step-{step.number}.json"
    rows, tokens = [], []
    for index in range(first, first + count):
        ids = torch.as_tensor(sequences[index]["input_ids"])
        tokens.append(ids.flatten().to(torch.int32))
        for (domain, place), row in zip(sequences.described(index), ids.reshape(-1, ids.shape[-1])):
            preview = tokenizer.decode(row[:PREVIEW_TOKENS])
            rows.append({"sequence": index, "domain": domain, "place": place, "begins": preview})
    save_file({"input_ids": torch.stack(tokens)}, page.with_suffix(".safetensors"))
    passes = [{"process": process, "losses": [_number(loss) for loss in row]} for process, row in losses]
    write_json(
        page,
        {
            "step": step.number,
            "fault": fault,
            "loss": _number(step.loss),
            "grad_norm": _number(step.grad_norm),
            "passes": passes,
            "sequences": rows,
        },
    )
    return page


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)  # JSON has no nan


def what_to_do(step: Step, fault: str, page: Path, checkpoint: str) -> InputError:
    """The error that a run stops with."""
    return InputError(
        f"step {step.number:,} was not taken: {fault}. Its batch is kept in {page}; {checkpoint}. Lower the learning "
        "rate or mend the data; or leave such steps out with --on_bad_step skip, or go back to the checkpoint first "
        "with --on_bad_step rewind"
    )
