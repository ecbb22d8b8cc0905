"""What an alignment takes, by where its reference comes from: memory of a GPU and time (docs/plan.md says how counted).

A step holds what a chat tuning's does (chat_tuning/tuning_plan.py) with two sequences for each preference. A second
model adds its weights, which stay; asked in every epoch, the reference adds a forward pass to three passes' worth of
training; asked before, it does so once.
"""

import dataclasses
from dataclasses import dataclass, field

from ..chat_tuning.tuning_plan import (
    WORK_WITH_ADAPTER,
    TuningPlanSettings,
    machine_lines,
    machines_of,
    peak_bytes,
    trained_parameters,
    tuning_seconds,
    tuning_work,
)
from ..errors import InputError
from ..pretraining.gpus import GIB, Gpu
from ..pretraining.layout import Layout
from ..pretraining.model_shape import ModelShape
from .align_config import REFERENCES, AlignConfig


@dataclass
class AlignPlanConfig(TuningPlanSettings, AlignConfig):
    """Reckons memory and time of an alignment for each reference, without reading the model or the preferences.

    Takes every setting of align.py; the model's shape is that of the settings, the paper's 13B by default.
    """

    planned_preferences: int = field(default=50_000, metadata={"help": "Preferences that will be trained on."})
    mean_length: int | None = field(
        default=None, metadata={"help": "Mean tokens of a prompt with an answer. Default: max_length, the most."}
    )

    def __post_init__(self):
        if self.planned_preferences < 1 or (self.mean_length is not None and self.mean_length < 1):
            raise InputError("planned_preferences and mean_length must be at least 1")
        super().__post_init__()


@dataclass(frozen=True)
class ReferenceCost:
    """What one choice of the reference costs.

    Attributes:
        reference: the choice.
        memory: bytes of a GPU at the peak of a training step, the reference's included.
        fits: whether that fits.
        seconds: of the whole run.
        reference_seconds: of them for asking the reference.
    """

    reference: str
    memory: int
    fits: bool
    seconds: float
    reference_seconds: float


@dataclass(frozen=True)
class AlignPlan:
    """The costs of every reference that the settings allow.

    Attributes:
        shape: the model.
        trained: parameters that are trained.
        steps: optimizer steps.
        gpu: what runs.
        layout: how the processes share the state.
        costs: one a choice.
        price_per_gpu_hour: in any currency; None where it was not given.
    """

    shape: ModelShape
    trained: int
    steps: int
    gpu: Gpu
    layout: Layout
    costs: tuple[ReferenceCost, ...]
    price_per_gpu_hour: float | None = None

    def to_dict(self) -> dict:
        """Everything in JSON's types."""
        values = dataclasses.asdict(self)
        values["shape"]["parameters"] = self.shape.parameters
        return values

    def page(self) -> str:
        """For people."""
        lines = [
            *machine_lines(self.shape, self.trained, self.gpu, self.layout),
            f"Steps       {self.steps:,}",
            "",
            f"{'reference':<14}{'GiB of a GPU':>14}{'':>10}{'hours':>10}{'of them for the reference':>28}"
            + (f"{'price':>12}" if self.price_per_gpu_hour else ""),
        ]
        lines += [
            f"{cost.reference:<14}{cost.memory / GIB:>14,.1f}{'fits' if cost.fits else 'too much':>10}"
            f"{cost.seconds / 3600:>10,.2f}{cost.reference_seconds / 3600:>28,.2f}" + self._price(cost)
            for cost in self.costs
        ]
        return "\n".join([*lines, "", "docs/alignment.md says what each is, and what the count leaves out."]) + "\n"

    def _price(self, cost: ReferenceCost) -> str:
        if not self.price_per_gpu_hour:
            return ""
        return f"{self.price_per_gpu_hour * self.layout.processes * cost.seconds / 3600:>12,.0f}"


def align_plan(config: AlignPlanConfig) -> AlignPlan:
    """The plan of an alignment.

    Raises:
        InputError: there is no such GPU.
    """
    shape, trained = ModelShape.of(config), trained_parameters(config)
    gpu, layout, half = machines_of(config)
    work = tuning_work(config, 2 * config.per_device_train_batch_size, gpu, half)
    length = config.mean_length or config.max_length
    steps = config.steps(config.planned_preferences)
    training = tuning_seconds(config, shape, gpu, layout, 2 * length * steps * config.rows_per_batch, length)
    # Three passes' worth, all of whose weights are trained; the reference is asked in one of them.
    whole = training if config.adapter == "none" else training / WORK_WITH_ADAPTER
    once = whole / 3 * config.planned_preferences / (steps * config.rows_per_batch)
    costs = []
    for reference in REFERENCES:
        if reference == "adapter_off" and config.adapter == "none":
            continue
        asking = once if reference == "precomputed" else whole / 3
        memory = peak_bytes(config, shape, work, layout, trained, half, second_model=reference == "model")
        costs.append(ReferenceCost(reference, memory, memory <= gpu.usable, training + asking, asking))
    return AlignPlan(shape, trained, steps, gpu, layout, tuple(costs), config.price_per_gpu_hour)
