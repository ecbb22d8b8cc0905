"""What a chat tuning takes: memory of a GPU, steps and time (docs/plan.md says how counted).

A step holds what pre-training's does. With an adapter only its own parameters have gradients and optimizer state, and
the backward pass makes no gradients of frozen weights: two passes' worth of work instead of three. The plan of an
alignment (alignment/align_plan.py) counts the same way.
"""

import dataclasses
import math
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
from .tuning_config import ChatTuneConfig
from .tuning_settings import TuningSettings

NF4_BYTES = 4.127 / 8  # a parameter with double quantisation (Dettmers et al., arXiv:2305.14314)
WORK_WITH_ADAPTER = 2 / 3


@dataclass
class TuningPlanSettings(PlanSettings):
    """The machines, and the shape of the model that is tuned: no checkpoint is read."""

    vocab_size: int = field(default=50_176, metadata={"help": "Rows of the embedding."})
    hidden_size: int = field(default=5120, metadata={"help": "Width of the residual stream."})
    intermediate_size: int = field(default=13_824, metadata={"help": "Width of the feed-forward layers."})
    num_hidden_layers: int = field(default=40, metadata={"help": "Number of layers."})
    num_attention_heads: int = field(default=40, metadata={"help": "Number of attention heads."})
    num_key_value_heads: int | None = field(default=None, metadata={"help": "Key-value heads. Default: all heads."})


@dataclass
class ChatTunePlanConfig(TuningPlanSettings, ChatTuneConfig):
    """Reckons memory and time of a chat tuning, without reading the model or the dialogues.

    Takes every setting of chat_tune.py; the model's shape is that of the settings, the paper's 13B by default.
    """

    planned_dialogues: int = field(default=50_000, metadata={"help": "Dialogues that will be trained on."})
    mean_length: int | None = field(
        default=None, metadata={"help": "Mean tokens of a dialogue. Default: max_length, the most."}
    )

    def __post_init__(self):
        if self.planned_dialogues < 1 or (self.mean_length is not None and self.mean_length < 1):
            raise InputError("planned_dialogues and mean_length must be at least 1")
        super().__post_init__()


@dataclass(frozen=True)
class TuningPlan:
    """The costs of a chat tuning.

    Attributes:
        shape: the model.
        trained: parameters that are trained.
        rows: of the data; with packing, of max_length tokens each.
        steps: optimizer steps.
        tokens: of them all.
        gpu: what runs.
        layout: how the processes share the state.
        memory: bytes of a GPU at the fullest moment of a step.
        seconds: of the whole run.
        price_per_gpu_hour: in any currency; None where it was not given.
    """

    shape: ModelShape
    trained: int
    rows: int
    steps: int
    tokens: int
    gpu: Gpu
    layout: Layout
    memory: int
    seconds: float
    price_per_gpu_hour: float | None = None

    @property
    def fits(self) -> bool:
        """Whether the memory of a GPU suffices."""
        return self.memory <= self.gpu.usable

    def to_dict(self) -> dict:
        """Everything in JSON's types."""
        values = dataclasses.asdict(self) | {"fits": self.fits}
        values["shape"]["parameters"] = self.shape.parameters
        return values

    def page(self) -> str:
        """For people."""
        gpu_hours = self.layout.processes * self.seconds / 3600
        price = f"; price {self.price_per_gpu_hour * gpu_hours:,.0f}" if self.price_per_gpu_hour else ""
        return "\n".join(
            [
                *machine_lines(self.shape, self.trained, self.gpu, self.layout),
                f"Rows        {self.rows:,}, {self.steps:,} steps, at most {self.tokens:,} tokens",
                f"Memory      {self.memory / GIB:,.1f} GiB of a GPU at the fullest moment of a step: "
                f"{'fits' if self.fits else 'too much'}",
                f"Time        {self.seconds / 3600:,.2f} hours, {gpu_hours:,.1f} GPU-hours{price}",
                "",
                "docs/plan.md says how it is counted.",
                "",
            ]
        )


def machine_lines(shape: ModelShape, trained: int, gpu: Gpu, layout: Layout) -> list[str]:
    """Model and machines, as the first lines of a page."""
    return [
        f"Model       {shape.parameters:,} parameters, {trained:,} of them trained",
        f"Machines    {layout.processes} x {gpu.name}, {layout.strategy}; {gpu.usable / GIB:,.1f} GiB usable on each",
    ]


def chat_tune_plan(config: ChatTunePlanConfig) -> TuningPlan:
    """The plan of a chat tuning.

    Raises:
        InputError: there is no such GPU.
    """
    shape, trained = ModelShape.of(config), trained_parameters(config)
    gpu, layout, half = machines_of(config)
    length = min(config.mean_length or config.max_length, config.max_length)
    rows, row_tokens = config.planned_dialogues, length
    if config.packing:
        rows, row_tokens = math.ceil(rows * length / config.max_length), config.max_length
    steps = config.steps(rows)
    tokens = row_tokens * steps * config.rows_per_batch
    work = tuning_work(config, config.per_device_train_batch_size, gpu, half)
    return TuningPlan(
        shape, trained, rows, steps, tokens, gpu, layout, peak_bytes(config, shape, work, layout, trained, half),
        tuning_seconds(config, shape, gpu, layout, tokens, row_tokens), config.price_per_gpu_hour,
    )  # fmt: skip


def machines_of(config: TuningSettings) -> tuple[Gpu, Layout, bool]:
    """(GPU, layout with the precision of the settings, whether that is half precision)."""
    layout = config.layout
    half = config.bf16 or config.fp16 or layout.mixed_precision != "no"
    precision = "bf16" if config.bf16 else "fp16" if config.fp16 else layout.mixed_precision
    layout = dataclasses.replace(layout, mixed_precision=precision)
    gpu = named_gpu(
        config.gpu or ("cpu" if layout.use_cpu else "a100-80gb"), layout.processes_per_machine,
        torch.bfloat16 if half else torch.float32,
    )  # fmt: skip
    return gpu, layout, half


def tuning_work(config: TuningSettings, sequences: int, gpu: Gpu, half: bool) -> Workload:
    """What a process computes in a step, with so many sequences in a forward pass."""
    attention = config.attn_implementation
    if attention == "auto":
        attention = "flash_attention_2" if half and gpu.name != "cpu" else "sdpa"
    return Workload(
        sequences=sequences,
        sequence_length=config.max_length,
        accumulation=config.gradient_accumulation_steps,
        attention=attention,
        checkpointing=bool(config.activation_checkpointing),
        optimizer=str(getattr(config.optim, "value", config.optim)),
    )


def tuning_seconds(
    config: TuningSettings, shape: ModelShape, gpu: Gpu, layout: Layout, tokens: int, length: int
) -> float:
    """Seconds of training on so many tokens, in sequences of such a length."""
    mfu = DEFAULT_MFU if config.mfu is None else config.mfu
    rate = config.tokens_per_second or mfu * gpu.flops / palm_flops_per_token(shape, length)
    return tokens / (rate * layout.data_parallel) * (1 if config.adapter == "none" else WORK_WITH_ADAPTER)


def trained_parameters(config: TuningSettings) -> int:
    """All, or those of the LoRA matrices: rank x (inputs + outputs) of every layer that has them.

    Raises:
        InputError: a layer is named that a Llama has not.
    """
    shape = ModelShape.of(config)
    if config.adapter == "none":
        return shape.parameters
    hidden, inner = shape.hidden_size, shape.intermediate_size
    sizes = {
        "q_proj": hidden + shape.query_size, "k_proj": hidden + shape.key_value_size,
        "v_proj": hidden + shape.key_value_size, "o_proj": shape.query_size + hidden,
        "gate_proj": hidden + inner, "up_proj": hidden + inner, "down_proj": inner + hidden,
    }  # fmt: skip
    modules = config.lora_modules
    named = list(sizes) if modules == "all-linear" else [name.strip() for name in modules.split(",")]
    if unknown := [name for name in named if name not in sizes]:
        raise InputError(f"lora_modules: the plan knows {', '.join(sizes)}, not {', '.join(unknown)}")
    return shape.num_hidden_layers * config.lora_rank * sum(sizes[name] for name in named)


def peak_bytes(
    config: TuningSettings, shape: ModelShape, work: Workload, layout: Layout, trained: int, half: bool,
    second_model: bool = False,
) -> int:  # fmt: skip
    """Bytes of a GPU at the fullest moment of a training step, with a second, frozen model beside if there is one."""
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
