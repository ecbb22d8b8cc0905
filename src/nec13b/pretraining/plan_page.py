"""A plan in words: the page that recipes/plan.py prints, the few lines at the start of a run, and how it came out."""

from dataclasses import dataclass, replace

from ..errors import InputError
from .gpus import GIB
from .memory_plan import PARTS, Workload, memory_plan
from .plan import Plan

WIDTH = 34  # of the first column


def plan_page(plan: Plan) -> str:
    """The whole plan, a page for people."""
    sections = (
        _what(plan),
        _batch(plan),
        _memory(plan),
        _otherwise(plan),
        _verdict(plan),
        _time(plan),
        _communication(plan),
    )
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def short_plan(plan: Plan) -> list[str]:
    """The plan in a few lines, for the start of a run."""
    peak, compute = plan.memory.peak, plan.compute
    parts = sorted(peak.parts.items(), key=lambda part: -part[1])[:3]
    most = ", ".join(f"{name} {_size(size)}" for name, size in parts if size)
    lines = [
        f"plan: {plan.shape.parameters:,} parameters on {_machines(plan)}",
        f"  memory {_size(peak.total)} of {_size(plan.gpu.usable)} usable, at its peak in the {peak.name}: {most}",
        f"  {compute.total_flops:.2e} FLOPs; at an MFU of {compute.mfu:.0%} {compute.tokens_per_second:,.0f} tokens/s, "
        f"{_duration(compute.days)} in all",
    ]
    if plan.communication.collectives:
        sent = plan.communication.within + plan.communication.across
        lines.append(f"  communication {sent / 1e9:,.1f} GB a step and GPU, {_hides(plan)}")
    lines += [f"  {note}" for note in plan.notes]
    if not plan.fits:
        change = plan.suggestions[0].change if plan.suggestions else "more GPUs"
        lines.append(f"  this does not fit; recipes/plan.py says what to change, first: {change}")
    elif plan.largest_batch > plan.work.sequences:
        lines.append(f"  per_device_train_batch_size {plan.largest_batch} would fit too")
    return lines


def out_of_memory(plan: Plan) -> InputError:
    """What to say when a run has filled its memory."""
    changes = [each.change for each in plan.suggestions] or ["per_device_train_batch_size: smaller", "more GPUs"]
    return InputError(
        f"the memory of {plan.gpu.name} is full; the plan has {_size(plan.memory.peak.total)} of "
        f"{_size(plan.gpu.usable)} usable. What to set, one after the other: {'; '.join(changes)}. The checkpoints are "
        "whole; recipes/plan.py shows the rest"
    )


@dataclass(frozen=True)
class Measured:
    """What a run has shown.

    Attributes:
        peak_bytes: most memory of a process; None where it was not measured. On a CPU what the process held before the
            model was there is to be taken off.
        tokens_per_second: of all processes.
    """

    peak_bytes: int | None
    tokens_per_second: float | None


def compare_with_plan(plan: Plan, measured: Measured) -> tuple[list[str], dict[str, float]]:
    """Lines that hold what was measured against the plan, and the same as numbers for a record.

    Returns:
        (lines, `planned_*`, `measured_*` and their ratios).
    """
    lines, numbers = [], {}
    if measured.peak_bytes:
        planned = plan.memory.peak.total
        numbers |= {"planned_peak_bytes": planned, "measured_peak_bytes": measured.peak_bytes}
        numbers["peak_ratio"] = measured.peak_bytes / planned
        also = ", evaluation and freed memory included" if plan.layout.use_cpu else ""
        lines.append(
            f"memory: planned {_size(planned)}, measured {_size(measured.peak_bytes)} "
            f"({numbers['peak_ratio'] - 1:+.0%}{also})"
        )
    if measured.tokens_per_second:
        planned_rate = plan.compute.tokens_per_second
        numbers |= {"planned_tokens_per_second": planned_rate, "measured_tokens_per_second": measured.tokens_per_second}
        numbers["speed_ratio"] = measured.tokens_per_second / planned_rate
        numbers |= {"planned_mfu": plan.compute.mfu, "measured_mfu": plan.compute.mfu * numbers["speed_ratio"]}
        lines.append(
            f"speed: planned {planned_rate:,.0f} tokens/s at an MFU of {plan.compute.mfu:.0%}, measured "
            f"{measured.tokens_per_second:,.0f} at {numbers['measured_mfu']:.0%}"
        )
    return lines, numbers


def _what(plan: Plan) -> list[str]:
    shape = plan.shape
    heads = f"{shape.num_attention_heads} heads"
    if shape.num_key_value_heads != shape.num_attention_heads:
        heads += f" ({shape.num_key_value_heads} of keys and values)"
    layout = plan.layout
    return [
        _line("Model", f"{shape.parameters:,} parameters"),
        _line("  shape", f"{shape.num_hidden_layers} layers of width {shape.hidden_size:,}, {heads}, feed-forward "
                         f"{shape.intermediate_size:,}, vocabulary {shape.vocab_size:,}"),
        _line("  embedding and head", f"{shape.embedding_parameters + shape.head_parameters:,}"),
        _line("  other parameters", f"{shape.non_embedding_parameters:,}"),
        _line("Machines", _machines(plan)),
        _line("  layout", f"{layout.strategy}: replicate {layout.replicate} x shard {layout.shard} x context "
                          f"{layout.context} x tensor {layout.tensor}; precision "
                          f"{'fp32' if layout.mixed_precision == 'no' else layout.mixed_precision}"),
    ]  # fmt: skip


def _batch(plan: Plan) -> list[str]:
    compute, work = plan.compute, plan.work
    return [
        _line("Batch", f"{compute.tokens_per_step:,} tokens a step"),
        _line("  is", f"{work.sequence_length:,} tokens x {work.sequences} sequences x {work.accumulation} passes x "
                      f"{plan.layout.data_parallel} processes with different data"),
        _line("  steps", f"{compute.steps:,}, {compute.tokens:,} tokens in all"),
    ]  # fmt: skip


def _memory(plan: Plan) -> list[str]:
    peak = plan.memory.peak
    lines = [_line("Memory of a GPU, at its peak" if plan.gpu.name != "cpu" else "Memory of a process", "GiB", right=9)]
    lines += [_line(f"  {name}", _gib(peak.parts[name]), right=9) for name in PARTS if peak.parts.get(name)]
    lines.append(_line("  in all", _gib(peak.total), right=9) + f"   ({peak.name})")
    reserved = f"{plan.gpu.name}: {_gib(plan.gpu.memory)} less {_gib(plan.gpu.reserved)} for the driver, and gaps"
    lines.append(_line("  usable", _gib(plan.gpu.usable), right=9) + f"   ({reserved})")
    lines += ["", _line("Moments of the step", "GiB", right=9)]
    lines += [_line(f"  {moment.name}", _gib(moment.total), right=9) for moment in plan.memory.moments]
    return lines


def _otherwise(plan: Plan) -> list[str]:
    """The peak under every choice of attention, loss and activation checkpointing (ckpt.)."""
    head = ("whole loss", "chunked", "whole, ckpt.", "chunked, ckpt.")
    rows = []
    backends = ("eager", plan.work.attention if plan.work.attention != "eager" else "sdpa")
    for backend in backends:
        sizes = []
        for checkpointing, chunked in ((False, False), (False, True), (True, False), (True, True)):
            work: Workload = replace(
                plan.work, attention=backend, checkpointing=checkpointing, checkpoint_every=1, chunked_loss=chunked
            )
            layout = replace(plan.layout, activation_checkpointing=False)
            sizes.append(_gib(memory_plan(plan.shape, work, layout).peak.total))
        rows.append(_line(f"  {backend}", "".join(f"{size:>17}" for size in sizes)))
    return [_line("The peak, GiB, by attention, loss", "".join(f"{name:>17}" for name in head)), *rows]


def _verdict(plan: Plan) -> list[str]:
    share = plan.memory.peak.total / plan.gpu.usable
    if plan.fits:
        more = (
            f"per_device_train_batch_size could be {plan.largest_batch}"
            if plan.largest_batch > plan.work.sequences
            else "no larger per_device_train_batch_size fits or divides the batch"
        )
        return [_line("It fits", f"{share:.0%} of what is usable; {more}")]
    lines = [_line("It does not fit", f"{share:.0%} of what is usable; set, one after the other:")]
    for each in plan.suggestions:
        note = "fits" if each.fits else "not yet"
        lines.append(f"  {_gib(each.total):>8} GiB, {note:<8} {each.change}")
    if not plan.suggestions or not plan.suggestions[-1].fits:
        lines.append(f"  nothing here makes it fit a {plan.gpu.name}; take GPUs with more memory or a smaller model")
    return lines


def _time(plan: Plan) -> list[str]:
    compute = plan.compute
    recomputed = compute.flops_per_token
    lines = [
        _line("Work", f"{compute.total_flops:.3e} FLOPs in all"),
        _line("  FLOPs a token", f"{recomputed:.3e} (matrix products, causal, recomputation included)"),
        _line("  for MFU, as PaLM counts", f"{compute.model_flops_per_token:.3e}; 6 N would be "
                                           f"{compute.six_n_per_token:.3e}"),
        _line("Time", f"{_duration(compute.days)} at an MFU of {compute.mfu:.1%} of "
                      f"{compute.flops / 1e12:,.3g} TFLOP/s"),
        _line("  a step", f"{compute.seconds_per_step:,.2f} s, {compute.tokens_per_second:,.0f} tokens/s"),
        _line("  GPU-hours", f"{compute.gpu_hours:,.1f}"),
    ]  # fmt: skip
    if plan.price is not None:
        lines.append(_line("  price", f"{plan.price:,.0f} at {plan.price_per_gpu_hour:g} a GPU-hour"))
    return lines


def _communication(plan: Plan) -> list[str]:
    found = plan.communication
    if not found.collectives:
        return []
    lines = [
        _line("Communication, a step and GPU", f"{'GB in machine':>14}{'GB across':>12}{'s':>9}{'not hidden':>12}")
    ]
    for each in found.collectives:
        exposed = f"{each.exposed:.2f}" if each.exposed > 0.005 else "-"
        lines.append(
            _line(f"  {each.name}", f"{each.within / 1e9:>14,.2f}{each.across / 1e9:>12,.2f}{each.seconds:>9,.2f}"
                                    f"{exposed:>12}")
        )  # fmt: skip
    lines.append(
        _line("  together", f"{found.seconds:,.2f} s of {found.computing:,.2f} s of computing; {_hides(plan)}")
    )
    return lines


def _hides(plan: Plan) -> str:
    found = plan.communication
    if found.hides:
        return "it hides behind the computing"
    return f"{found.exposed:,.2f} s of it do not hide ({found.exposed / found.computing:.0%} of the step)"


def _machines(plan: Plan) -> str:
    layout, gpu = plan.layout, plan.gpu.name
    per_machine = layout.processes_per_machine
    if layout.processes == 1:
        return f"1 process on the {gpu}" if gpu == "cpu" else f"1 {gpu}"
    return f"{layout.machines} x {per_machine} {'processes on the ' if gpu == 'cpu' else ''}{gpu} ({layout.processes})"


def _line(name: str, value: str, right: int = 0) -> str:
    return f"{name:<{WIDTH}} {value:>{right}}".rstrip()


def _size(size: float) -> str:
    return f"{size / GIB:,.2f} GiB" if size >= GIB else f"{size / 2**20:,.0f} MiB"


def _gib(size: float) -> str:
    return f"{size / GIB:,.2f}"


def _duration(days: float) -> str:
    if days >= 2:
        return f"{days:,.1f} days"
    if days * 24 >= 2:
        return f"{days * 24:.1f} hours"
    return f"{days * 24 * 60:,.1f} minutes"
