"""Where the time of a step goes: waiting for data, computing, talking to other processes.

Data and steps are timed by the clock, always. Communication hides inside the backward pass, so now and then one step
runs under torch's profiler, which sees every collective of NCCL and gloo; of these only what no computation covers
costs time.
"""

import time
from collections.abc import Iterator

import torch
from torch.profiler import ProfilerActivity, profile

COMMUNICATION = ("nccl", "gloo:")
SECONDS_A_MICROSECOND = 1e-6


class StepTimes:
    """The clock of the training loop.

    Args:
        tokens_per_batch: tokens in an optimizer step over all processes.
        device: where training runs.
        profile_every: steps between two profiled ones; 0 profiles none.
    """

    def __init__(self, tokens_per_batch: int, device: torch.device, profile_every: int):
        self.tokens_per_batch, self.device, self.profile_every = tokens_per_batch, device, profile_every
        self.steps, self.seconds, self.waiting = 0, 0.0, 0.0
        self.began: float | None = None
        self.profiled: dict[str, float] = {}
        self.profiler: profile | None = None

    def begin_step(self, number: int) -> None:
        """Called before the sequences of step `number` (from 1) are read."""
        if self.profile_every and number % self.profile_every == 0:
            activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if self.device.type == "cuda" else [])
            self.profiler = profile(activities=activities)
            self.profiler.__enter__()
        self.began = time.perf_counter()

    def data_is_there(self) -> None:
        """Called when the step has its sequences."""
        self.waiting += time.perf_counter() - self.began

    def end_step(self) -> None:
        """Called after the optimizer's step."""
        if self.began is None:
            return
        if self.profiler is not None and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        seconds = time.perf_counter() - self.began
        self.steps, self.seconds, self.began = self.steps + 1, self.seconds + seconds, None
        if self.profiler is not None:
            profiler, self.profiler = self.profiler, None
            profiler.__exit__(None, None, None)
            together, exposed = communication_seconds(profiler.events())
            self.profiled = {
                "profiled_step_seconds": seconds,
                "communication_seconds": together,
                "exposed_communication_seconds": exposed,
            }

    def take(self) -> dict[str, float]:
        """The figures of the steps since the last call; evaluation and saving do not count.

        `tokens_per_second`, `step_seconds`, `data_wait_seconds` (of a step), and of a step that was profiled its
        seconds, those with communication under way, and those of them that no computing covered.
        """
        figures = {}
        if self.steps and self.seconds:
            figures = {
                "tokens_per_second": self.steps * self.tokens_per_batch / self.seconds,
                "step_seconds": self.seconds / self.steps,
                "data_wait_seconds": self.waiting / self.steps,
            }
        figures |= self.profiled
        self.steps, self.seconds, self.waiting, self.profiled = 0, 0.0, 0.0, {}
        return figures


def communication_seconds(events) -> tuple[float, float]:
    """(seconds with a collective under way, seconds of these in which nothing was computed).

    On a GPU the kernels are compared, those of NCCL with all others. On a CPU the collectives of gloo run in threads of
    their own, and what the operators of the training threads do meanwhile counts as computing.
    """
    on_gpu = any(event.device_type == torch.autograd.DeviceType.CUDA for event in events)
    talking, computing = [], []
    for event in events:
        if on_gpu and event.device_type != torch.autograd.DeviceType.CUDA:
            continue
        span = (event.time_range.start, event.time_range.end)
        if event.name.lower().startswith(COMMUNICATION):
            talking.append(span)
        elif on_gpu or event.name.startswith("aten::"):
            computing.append(span)
    talking, computing = list(_union(talking)), list(_union(computing))
    together = sum(end - start for start, end in talking)
    covered = sum(
        min(a_end, b_end) - max(a_start, b_start) for a_start, a_end, b_start, b_end in _meetings(talking, computing)
    )
    return together * SECONDS_A_MICROSECOND, (together - covered) * SECONDS_A_MICROSECOND


def _union(spans: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """The spans in order, those that touch joined."""
    spans = sorted(spans)
    if not spans:
        return
    start, end = spans[0]
    for next_start, next_end in spans[1:]:
        if next_start > end:
            yield start, end
            start, end = next_start, next_end
        end = max(end, next_end)
    yield start, end


def _meetings(one: list, other: list) -> Iterator[tuple[float, float, float, float]]:
    """Pairs of spans, of two lists of disjoint spans in order, that overlap."""
    i = j = 0
    while i < len(one) and j < len(other):
        if one[i][0] < other[j][1] and other[j][0] < one[i][1]:
            yield *one[i], *other[j]
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
