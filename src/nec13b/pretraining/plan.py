"""What a run will take before it starts: memory, time, communication, and what to change where it does not fit.

A plan is reckoned from the settings of a run and the layout of its machines; no model is built and no machine is asked.
`plan_page.py` writes it down; docs/plan.md explains every line and says how far it can be trusted.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import PreTrainedConfig

from ..errors import InputError
from .communication_plan import CommunicationPlan, communication_plan
from .compute_plan import ComputePlan, compute_plan, model_flops_utilisation, palm_flops_per_token
from .config import PretrainConfig, accumulation_steps
from .gpus import Gpu, gpu_of_this_process, named_gpu
from .layout import Layout
from .memory_plan import MemoryPlan, Workload, memory_plan
from .model_shape import ModelShape

DEFAULT_MFU = 0.4
LARGEST_BATCH_TRIED = 4096


@dataclass(frozen=True)
class Suggestion:
    """A change that makes a step smaller, on top of those before it.

    Attributes:
        change: what to set.
        total: bytes at the peak after it.
        fits: whether that fits.
    """

    change: str
    total: int
    fits: bool


@dataclass(frozen=True)
class Plan:
    """Everything that can be said of a run beforehand.

    Attributes:
        shape: the model.
        work: what one process does in a step.
        layout: how the processes share the state.
        gpu: what they run on.
        memory: bytes on each GPU.
        compute: work and time.
        communication: what the GPUs send each other in a step.
        price_per_gpu_hour: in any currency; None where it was not given.
        largest_batch: the largest per_device_train_batch_size that fits and divides the batch; 0 where none does.
        suggestions: what to change where the step does not fit.
        notes: what the plan had to assume.
    """

    shape: ModelShape
    work: Workload
    layout: Layout
    gpu: Gpu
    memory: MemoryPlan
    compute: ComputePlan
    communication: CommunicationPlan
    price_per_gpu_hour: float | None
    largest_batch: int
    suggestions: tuple[Suggestion, ...]
    notes: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether the peak lies within what a GPU can hold."""
        return self.memory.peak.total <= self.gpu.usable

    @property
    def price(self) -> float | None:
        """Of the whole run."""
        return None if self.price_per_gpu_hour is None else self.price_per_gpu_hour * self.compute.gpu_hours

    def to_dict(self) -> dict[str, Any]:
        """Everything in JSON's types."""
        moments = [{"name": moment.name, "total": moment.total, **moment.parts} for moment in self.memory.moments]
        derived = ("tokens", "total_flops", "tokens_per_second", "seconds_per_step", "days", "gpu_hours")
        counts = ("parameters", "embedding_parameters", "non_embedding_parameters", "multiplied_parameters")
        return {
            "shape": dataclasses.asdict(self.shape) | {name: getattr(self.shape, name) for name in counts},
            "work": dataclasses.asdict(self.work),
            "layout": dataclasses.asdict(self.layout) | {"data_parallel": self.layout.data_parallel},
            "gpu": dataclasses.asdict(self.gpu) | {"usable": self.gpu.usable},
            "memory": {"peak": self.memory.peak.name, "total": self.memory.peak.total, "moments": moments},
            "fits": self.fits,
            "largest_batch": self.largest_batch,
            "suggestions": [dataclasses.asdict(each) for each in self.suggestions],
            "compute": dataclasses.asdict(self.compute) | {name: getattr(self.compute, name) for name in derived},
            "communication": {
                "collectives": [dataclasses.asdict(each) for each in self.communication.collectives],
                "seconds": self.communication.seconds,
                "exposed": self.communication.exposed,
            },
            "price": self.price,
            "notes": list(self.notes),
        }


def make_plan(
    config: PretrainConfig,
    layout: Layout,
    gpu: Gpu | str | None = None,
    *,
    shape: ModelShape | None = None,
    optimizer: str | None = None,
    mfu: float | None = None,
    tokens_per_second: float | None = None,
    price_per_gpu_hour: float | None = None,
) -> Plan:
    """The plan of a pre-training run.

    Args:
        config: the run's settings.
        layout: how its processes share the state; the config's precision wins over its.
        gpu: name in gpus.GPUS, or one; None takes the CPU where the layout does, else the paper's A100 80GB.
        shape: the model, where it is known better than from the config (a tokenizer's vocabulary, a checkpoint).
        optimizer: to count in place of the config's.
        mfu: model FLOPs utilisation; None takes 0.4, or what `tokens_per_second` comes to.
        tokens_per_second: measured on one GPU, from which MFU follows.
        price_per_gpu_hour: for the price of the run.

    Raises:
        InputError: the processes cannot share the batch or the model evenly; a name or number makes no sense.
    """
    shape = shape or ModelShape.of(config)
    layout = with_precision(layout, config)
    if not isinstance(gpu, Gpu):
        dtype = torch.float32 if layout.mixed_precision == "no" else torch.bfloat16
        gpu = named_gpu(gpu or ("cpu" if layout.use_cpu else "a100-80gb"), layout.processes_per_machine, dtype)
    layout = replace(layout, use_cpu=gpu.name == "cpu")
    work = workload(config, layout, optimizer)
    memory = memory_plan(shape, work, layout)
    if tokens_per_second:
        palm = palm_flops_per_token(shape, work.sequence_length)
        mfu = model_flops_utilisation(tokens_per_second, palm, gpu.flops)
    mfu = DEFAULT_MFU if mfu is None else mfu
    if not 0 < mfu <= 1:
        raise InputError(f"mfu must lie above 0 and at most be 1, not {mfu:.3g}")
    checkpointing = work.checkpointing or layout.activation_checkpointing
    compute = compute_plan(
        shape,
        sequence_length=work.sequence_length,
        tokens_per_step=config.tokens_per_batch,
        accumulation=work.accumulation,
        steps=config.max_steps,
        processes=layout.processes,
        flops=gpu.flops,
        mfu=mfu,
        recomputed=1 / work.checkpoint_every if checkpointing else 0,
    )
    per_process = config.tokens_per_batch // (layout.data_parallel * config.sequence_length)
    fits = memory.peak.total <= gpu.usable
    return Plan(
        shape,
        work,
        layout,
        gpu,
        memory,
        compute,
        communication_plan(shape, work, layout, gpu, compute.seconds_per_step),
        price_per_gpu_hour,
        largest_batch(shape, work, layout, gpu, per_process),
        () if fits else tuple(suggestions(shape, work, layout, gpu)),
    )


def plan_of_run(config: PretrainConfig, model_config: PreTrainedConfig) -> Plan:
    """The plan of a run that is about to begin, on the machine that it runs on.

    A run is not held up by what the plan does not know: an optimizer of unknown size counts as AdamW, with a note.
    """
    layout = with_precision(config.layout, config)
    dtype = torch.float32 if layout.mixed_precision == "no" else torch.bfloat16
    gpu = gpu_of_this_process(config.device, layout.processes_per_machine, dtype)
    shape = ModelShape.of(model_config)
    try:
        Workload(optimizer=_optimizer(config))
    except InputError as error:
        plan = make_plan(config, layout, gpu, shape=shape, optimizer="adamw")
        return replace(plan, notes=(f"{error}; it is counted as AdamW",))
    return make_plan(config, layout, gpu, shape=shape)


def with_precision(layout: Layout, config: PretrainConfig) -> Layout:
    """The layout with the precision that Trainer takes: the config's, else the launcher's."""
    precision = "bf16" if config.bf16 else "fp16" if config.fp16 else layout.mixed_precision
    return replace(layout, mixed_precision=precision)


def workload(config: PretrainConfig, layout: Layout, optimizer: str | None = None) -> Workload:
    """What one process of the layout does in an optimizer step.

    Args:
        config: the run's settings.
        layout: how its processes share the state.
        optimizer: in place of the config's.

    Raises:
        InputError: the processes cannot share the batch evenly.
    """
    options = config.activation_checkpointing_kwargs or {}
    accumulating = getattr(config.accelerator_config, "gradient_accumulation_kwargs", None) or {}
    return Workload(
        sequences=config.per_device_train_batch_size,
        sequence_length=config.sequence_length,
        accumulation=accumulation_steps(
            config.tokens_per_batch, config.sequence_length, config.per_device_train_batch_size, layout.data_parallel
        ),
        attention=_attention(config, layout),
        checkpointing=bool(config.activation_checkpointing),
        checkpoint_every=int(options.get("every_n_layers", 1)),
        chunked_loss=config.loss_chunk_tokens != 0 and not config.label_smoothing_factor,
        chunk_tokens=config.loss_chunk_tokens if config.loss_chunk_tokens > 0 else None,
        optimizer=optimizer or _optimizer(config),
        sync_each_batch=bool(accumulating.get("sync_each_batch", False)),
    )


def _optimizer(config: PretrainConfig) -> str:
    return str(getattr(config.optim, "value", config.optim))


def _attention(config: PretrainConfig, layout: Layout) -> str:
    """What `auto` stands for on the planned machine, flash-attn being installed there; see kernels.choose_attention."""
    if config.attn_implementation != "auto":
        return config.attn_implementation
    return "sdpa" if layout.use_cpu or layout.mixed_precision == "no" else "flash_attention_2"


def largest_batch(shape: ModelShape, work: Workload, layout: Layout, gpu: Gpu, per_process: int) -> int:
    """The most sequences in a forward pass that fit and divide the `per_process` sequences of a step; 0 if none do."""
    for sequences in range(min(per_process, LARGEST_BATCH_TRIED), 0, -1):
        if per_process % sequences == 0:
            tried = replace(work, sequences=sequences, accumulation=per_process // sequences)
            if memory_plan(shape, tried, layout).peak.total <= gpu.usable:
                return sequences
    return 0


def suggestions(shape: ModelShape, work: Workload, layout: Layout, gpu: Gpu) -> Iterator[Suggestion]:
    """Changes that make a step smaller, one on top of the other, the cheapest first, until it fits.

    A change that saves less than a hundredth is left out.
    """
    total = memory_plan(shape, work, layout).peak.total
    # Each change is tried on the state that those before it have left, so the list is made as it is walked through.
    for change in _CHANGES:
        for name, new_work, new_layout in change(shape, work, layout):
            try:
                new_total = memory_plan(shape, new_work, new_layout).peak.total
            except InputError:  # sizes that do not divide
                continue
            if new_total > 0.99 * total:
                continue
            fits = new_total <= gpu.usable
            yield Suggestion(name, new_total, fits)
            if fits:
                return
            work, layout, total = new_work, new_layout, new_total


Change = Iterator[tuple[str, Workload, Layout]]


def _fused_attention(shape: ModelShape, work: Workload, layout: Layout) -> Change:
    if work.attention == "eager":
        yield "attn_implementation: sdpa", replace(work, attention="sdpa"), layout


def _chunk_loss(shape: ModelShape, work: Workload, layout: Layout) -> Change:
    if not work.chunked_loss:
        yield "loss_chunk_tokens: -1", replace(work, chunked_loss=True), layout


def _half_precision(shape: ModelShape, work: Workload, layout: Layout) -> Change:
    if layout.mixed_precision == "no" and not layout.use_cpu:
        yield "bf16: true", work, replace(layout, mixed_precision="bf16")


def _checkpoint(shape: ModelShape, work: Workload, layout: Layout) -> Change:
    if not (work.checkpointing or layout.activation_checkpointing) or work.checkpoint_every > 1:
        change = "activation_checkpointing: true (a third more work)"
        yield change, replace(work, checkpointing=True, checkpoint_every=1), layout


def _smaller_batch(shape: ModelShape, work: Workload, layout: Layout) -> Change:
    while work.sequences > 1:
        sequences = next(n for n in range(work.sequences // 2, 0, -1) if work.sequences % n == 0)
        work = replace(work, sequences=sequences, accumulation=work.accumulation * work.sequences // sequences)
        yield f"per_device_train_batch_size: {sequences} (accumulates {work.accumulation} times)", work, layout


def _sync_each_batch(shape: ModelShape, work: Workload, layout: Layout) -> Change:
    if layout.strategy == "fsdp" and work.accumulation > 1 and not work.sync_each_batch:
        setting = "accelerator_config: {gradient_accumulation_kwargs: {sync_each_batch: true}}"
        yield setting, replace(work, sync_each_batch=True), layout


def _shard(shape: ModelShape, work: Workload, layout: Layout) -> Change:
    data = layout.data_parallel
    if layout.strategy == "fsdp":
        if not layout.reshard_after_forward:
            layout = replace(layout, reshard_after_forward=True)
            yield "fsdp_reshard_after_forward: true", work, layout
        if layout.replicate > 1:
            sharded = replace(layout, replicate=1, shard=layout.shard * layout.replicate)
            yield f"FSDP over all {sharded.shard_ways} processes instead of {layout.shard_ways}", work, sharded
    elif data > 1:
        sharded = replace(layout, strategy="fsdp", replicate=1, shard=data)
        yield f"FSDP over the {data} processes instead of {layout.strategy}", work, sharded


def _more_gpus(shape: ModelShape, work: Workload, layout: Layout) -> Change:
    if layout.use_cpu:
        return
    strategy = "fsdp" if layout.strategy in ("single", "ddp") else layout.strategy
    for factor in (2, 4, 8, 16, 32, 64):
        if work.accumulation % factor and work.accumulation > 1:
            return
        fewer = replace(work, accumulation=max(1, work.accumulation // factor))
        if strategy == layout.strategy:
            shard, replicas = layout.shard * factor, layout.replicate
        else:
            shard, replicas = layout.processes * factor, 1
        processes = replicas * shard * layout.tensor * layout.context
        machines = max(layout.machines, -(-processes // 8))
        if processes % machines:
            return
        larger = replace(
            layout, strategy=strategy, machines=machines, processes=processes, shard=shard, replicate=replicas
        )
        yield f"{processes:,} GPUs ({strategy.upper()} over {larger.shard_ways})", fewer, larger


def _tensor_parallel(shape: ModelShape, work: Workload, layout: Layout) -> Change:
    yield from _split(work, layout, "tensor", "parallelism_config_tp_size")


def _context_parallel(shape: ModelShape, work: Workload, layout: Layout) -> Change:
    yield from _split(work, layout, "context", "parallelism_config_cp_size")


def _split(work: Workload, layout: Layout, axis: str, setting: str) -> Change:
    """Processes that shared data split a layer or a sequence instead; the batch of each grows by accumulation."""
    if layout.strategy != "fsdp":
        return
    for factor in (2, 4, 8):
        size = getattr(layout, axis) * factor
        if size > 8 or layout.shard % factor or layout.shard == factor:
            return
        split = replace(layout, **{axis: size}, shard=layout.shard // factor)
        yield f"{setting}: {size}", replace(work, accumulation=work.accumulation * factor), split


def _offload(shape: ModelShape, work: Workload, layout: Layout) -> Change:
    if layout.strategy in ("fsdp", "zero3") and not layout.offload_parameters:
        setting = "fsdp_offload_params: true" if layout.strategy == "fsdp" else "offload_param_device: cpu"
        moved = replace(layout, offload_parameters=True, offload_optimizer=True)
        yield f"{setting} (weights and AdamW on the host; slow)", work, moved


# The cheapest first: what costs no time, then what costs work, then communication, then machines.
_CHANGES = (
    _fused_attention,
    _chunk_loss,
    _half_precision,
    _shard,
    _smaller_batch,
    _checkpoint,
    _sync_each_batch,
    _tensor_parallel,
    _context_parallel,
    _more_gpus,
    _offload,
)
