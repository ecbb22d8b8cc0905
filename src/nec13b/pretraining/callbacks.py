"""What happens beside the training steps: a progress line, the metrics file, and a stop that loses nothing."""

import collections
import json
import os
import signal
import statistics
import time
from pathlib import Path

import torch
from tqdm.auto import tqdm
from transformers import TrainerCallback

from .bad_steps import LossWatch
from .config import PretrainConfig

METRICS_NAME = "metrics.jsonl"


class AroundTheStep(TrainerCallback):
    """Calls the trainer where Trainer itself has no hook: before the optimizer's step, and after it."""

    def __init__(self, trainer):
        self.trainer = trainer

    def on_train_begin(self, args, state, control, **kwargs):
        losses = [row["loss"] for row in state.log_history if "loss" in row and "left_out" not in row]
        self.trainer.watch = LossWatch(args.spike_threshold, losses)

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        self.trainer.before_the_step()

    def on_step_end(self, args, state, control, **kwargs):
        self.trainer.times.end_step()
        self.trainer.writer.poll()
        # A resumed run counts its batches from where it stands, and Trainer the epoch by them.
        state.epoch = state.global_step / state.max_steps


class ProgressLine(TrainerCallback):
    """One line that is always there: steps, loss, tokens per second and the time left; evaluations are printed above.

    Where the output is not a terminal, a line is printed about every twenty seconds instead.
    """

    SECONDS_BETWEEN_LINES = 20

    def __init__(self, config: PretrainConfig):
        self.tokens_per_batch = config.tokens_per_batch
        self.bar = None

    def on_train_begin(self, args, state, control, **kwargs):
        if not state.is_world_process_zero:
            return
        self.printed, self.speeds = time.monotonic(), collections.deque(maxlen=50)
        if not args.disable_tqdm and _is_terminal():
            self.bar = tqdm(total=state.max_steps, initial=state.global_step, unit="step", dynamic_ncols=True)

    def on_step_end(self, args, state, control, **kwargs):
        if self.bar is not None:
            self.bar.update(1)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not state.is_world_process_zero or "loss" not in (logs or {}):
            return
        now, step = time.monotonic(), state.global_step
        if "tokens_per_second" in logs:
            self.speeds.append(logs["tokens_per_second"])
        speed = statistics.harmonic_mean(self.speeds) if self.speeds else float("nan")
        loss = f"loss {logs['loss']:.3f}"
        rate = f"{speed:,.0f} tokens/s" + (f", MFU {logs['mfu']:.0%}" if "mfu" in logs else "")
        if self.bar is not None:
            self.bar.set_postfix_str(f"{loss}, {rate}")
        elif now - self.printed >= self.SECONDS_BETWEEN_LINES or step in (1, state.max_steps):
            self.printed = now
            left = _duration((state.max_steps - step) * self.tokens_per_batch / speed) if self.speeds else "?"
            print(f"step {step:,}/{state.max_steps:,}  {loss}  {rate}  {left} left", flush=True)

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        if not state.is_world_process_zero:
            return
        for name, value in (metrics or {}).items():
            source, _, measure = name.removeprefix("eval_").rpartition("_")
            if name.startswith("eval_") and measure in ("loss", "accuracy"):
                figure = f"{value:.3f}" if measure == "loss" else f"{value:.1%}"
                line = f"held-out {source} {measure} {figure} at step {state.global_step:,}"
                if self.bar is not None:
                    self.bar.write(line)
                else:
                    print(line, flush=True)

    def on_train_end(self, args, state, control, **kwargs):
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def _is_terminal() -> bool:
    return os.isatty(2)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def read_metrics(output_dir: Path) -> list[dict]:
    """The logged points of a run, in order; a last line that was cut by a crash is left out."""
    lines = (output_dir / METRICS_NAME).read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


class MetricsFile(TrainerCallback):
    """Appends every logged point to `metrics.jsonl`, so that a killed run keeps its curve; a resumed run cuts the part
    that it will write again."""

    def __init__(self, path: Path):
        self.path = path

    def on_train_begin(self, args, state, control, **kwargs):
        if not state.is_world_process_zero:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # The checkpoint's own history is the truth up to its step.
        with self.path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in state.log_history)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if state.is_world_process_zero and logs and state.log_history:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(state.log_history[-1]) + "\n")


class StopOnSignal(TrainerCallback):
    """Ctrl-C, SIGTERM, or a launcher that is gone: finish the step, write a checkpoint, stop. A second Ctrl-C stops
    at once."""

    # torchrun passes Ctrl-C on to its workers, which the terminal has told already: that is not a second one.
    SECONDS_OF_ECHO = 3

    def __init__(self):
        self.received: float | None = None
        self.previous: dict[int, object] = {}

    def on_train_begin(self, args, state, control, **kwargs):
        self.launcher = os.getppid()
        for number in (signal.SIGINT, signal.SIGTERM):
            self.previous[number] = signal.signal(number, self._receive)

    def _receive(self, number, frame):
        now = time.monotonic()
        if self.received is None:
            self.received = now
        elif number == signal.SIGINT and now - self.received > self.SECONDS_OF_ECHO:
            raise KeyboardInterrupt

    def on_step_end(self, args, state, control, **kwargs):
        # Workers outlive a launcher that was killed, and would write into the folder that the next run takes.
        orphaned = args.world_size > 1 and os.getppid() != self.launcher
        stop = self.received is not None or orphaned
        if args.world_size > 1:  # the processes get the signal at different moments; they must stop at the same step
            flag = torch.tensor(int(stop), device=args.device)
            torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
            stop = bool(flag.item())
        if stop:
            control.should_save = control.should_training_stop = True
        return control

    def on_train_end(self, args, state, control, **kwargs):
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous.clear()
