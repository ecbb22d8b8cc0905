"""What an alignment takes, by where its reference comes from: memory of a GPU and time (docs/plan.md says how counted).

A step holds what pre-training's does with two sequences for each preference. A second model adds its weights, which
stay; asked in every epoch, the reference adds a forward pass to three passes' worth of training; asked before, it does
so once. With an adapter only its own parameters have gradients and optimizer state, and the backward pass makes no
gradients of frozen weights.
"""

import dataclasses
from dataclasses import dataclass, field

import torch

from ..errors import InputError
from ..pretraining.compute_plan import palm_flops_per_token
from ..pretraining.gpus import GIB, Gpu, named_gpu
from ..pretraining.layout import Layout
from ..pretraining.memory_plan import Workload, memory_plan
from ..pretraining.model_shape import ModelShape
from ..pretraining.plan import DEFAULT_MFU
from ..pretraining.plan_config import PlanSettings
from .align_config import REFERENCES, AlignConfig

NF4_BYTES = 4.127 / 8  # a parameter with double quantisation (Dettmers et al., arXiv:2305.14314)


@dataclass
class AlignPlanConfig(PlanSettings, AlignConfig):
    """Reckons memory and time of an alignment for each reference, without reading the model or the preferences.

    Takes every setting of align.py; the model's shape is that of the settings, the paper's 13B by default.
    """

    planned_preferences: int = field(default=50_000, metadata={"help": "Preferences that will be trained on."})
    mean_length: int | None = field(
        default=None, metadata={"help": "Mean tokens of a prompt with an answer. Default: max_length, the most."}
    )
    vocab_size: int = field(default=50_176, metadata={"help": "Rows of the embedding."})
    hidden_size: int = field(default=5120, metadata={"help": "Width of the residual stream."})
    intermediate_size: int = field(default=13_824, metadata={"help": "Width of the feed-forward layers."})
    num_hidden_layers: int = field(default=40, metadata={"help": "Number of layers."})
    num_attention_heads: int = field(default=40, metadata={"help": "Number of attention heads."})
    num_key_value_heads: int | None = field(default=None, metadata={"help": "Key-value heads. Default: all heads."})

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
            f"Model       {self.shape.parameters:,} parameters, {self.trained:,} of them trained",
            f"Machines    {self.layout.processes} x {self.gpu.name}, {self.layout.strategy}; "
            f"{self.gpu.usable / GIB:,.1f} GiB usable on each",
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
    shape, layout = ModelShape.of(config), config.layout
    half = config.bf16 or config.fp16 or layout.mixed_precision != "no"
    precision = "bf16" if config.bf16 else "fp16" if config.fp16 else layout.mixed_precision
    layout = dataclasses.replace(layout, mixed_precision=precision)
    gpu = named_gpu(
        config.gpu or ("cpu" if layout.use_cpu else "a100-80gb"), layout.processes_per_machine,
        torch.bfloat16 if half else torch.float32,
    )  # fmt: skip
    attention = config.attn_implementation
    if attention == "auto":
        attention = "flash_attention_2" if half and gpu.name != "cpu" else "sdpa"
    work = Workload(
        sequences=2 * config.per_device_train_batch_size,
        sequence_length=config.max_length,
        accumulation=config.gradient_accumulation_steps,
        attention=attention,
        checkpointing=bool(config.activation_checkpointing),
        optimizer=str(getattr(config.optim, "value", config.optim)),
    )
    trained = adapter_parameters(config, shape) if config.adapter != "none" else shape.parameters
    mfu = DEFAULT_MFU if config.mfu is None else config.mfu
    length = config.mean_length or config.max_length
    rate = config.tokens_per_second or mfu * gpu.flops / palm_flops_per_token(shape, length)
    steps = config.steps(config.planned_preferences)
    tokens = 2 * length * steps * config.rows_per_batch
    whole = tokens / (rate * layout.data_parallel)  # of training all weights: three passes' worth
    training = whole * (1 if config.adapter == "none" else 2 / 3)
    once = whole / 3 * config.planned_preferences / (steps * config.rows_per_batch)
    costs = []
    for reference in REFERENCES:
        if reference == "adapter_off" and config.adapter == "none":
            continue
        asking = once if reference == "precomputed" else whole / 3
        memory = peak_bytes(config, shape, work, layout, trained, half, second_model=reference == "model")
        costs.append(ReferenceCost(reference, memory, memory <= gpu.usable, training + asking, asking))
    return AlignPlan(shape, trained, steps, gpu, layout, tuple(costs), config.price_per_gpu_hour)


def adapter_parameters(config: AlignConfig, shape: ModelShape) -> int:
    """Parameters of the LoRA matrices: rank x (inputs + outputs) of every layer that has them."""
    hidden, inner = shape.hidden_size, shape.intermediate_size
    sizes = {
        "q_proj": hidden + shape.query_size, "k_proj": hidden + shape.key_value_size,
        "v_proj": hidden + shape.key_value_size, "o_proj": shape.query_size + hidden,
        "gate_proj": hidden + inner, "up_proj": hidden + inner, "down_proj": inner + hidden,
    }  # fmt: skip
    modules = config.lora_modules
    named = list(sizes) if modules == "all-linear" else [name.strip() for name in modules.split(",")]
    return shape.num_hidden_layers * config.lora_rank * sum(sizes.get(name, 0) for name in named)


def peak_bytes(
    config: AlignConfig, shape: ModelShape, work: Workload, layout: Layout, trained: int, half: bool, second_model: bool
) -> int:
    """Bytes of a GPU at the fullest moment of a training step."""
    frozen = config.adapter != "none"
    share = layout.shard_ways if layout.strategy in ("fsdp", "zero3") else 1
    of_weight = NF4_BYTES if config.adapter == "qlora" else 2 if frozen and half else 4
    weights = of_weight * shape.parameters / share
    sizes = []
    for moment in memory_plan(shape, work, layout).moments:
        parts = dict(moment.parts)
        if frozen:
            sharded = trained / share
            ours = {"weights": weights + 4 * sharded, "optimizer state": work.optimizer_bytes * sharded,
                    "gradients": 4 * sharded, "buckets": 4 * trained if layout.strategy == "ddp" else 0}  # fmt: skip
            if layout.strategy in ("single", "ddp"):
                ours["gathered weights"] = 0  # frozen weights are in bf16 already; autocast makes no copies
            parts |= ours
        sizes.append(sum(parts.values()) + (weights if second_model else 0))
    return round(max(sizes))
