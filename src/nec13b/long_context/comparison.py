"""Checkpoints side by side on the same held-out documents: what `evaluation/loss_by_position.py` does."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedModel

from ..checkpoint_fingerprint import fingerprint_of_checkpoint
from ..errors import InputError
from ..llama_conversion import load_as_nec13b
from ..pretraining import TokenShards
from ..run_record import RunRecord, write_json
from .extension import config_of_checkpoint, old_window
from .position_losses import HeldOutText, Losses, buckets
from .position_report import draw_by_position, estimates
from .probes import copies, passkeys

RESULT_NAME, FIGURE_NAME = "loss_by_position.json", "loss_by_position.png"


@dataclass
class CompareConfig:
    """Loss against token position for a list of checkpoints, with intervals over documents and seeds."""

    models: list[str] = field(
        default_factory=list,
        metadata={"help": "label=checkpoint (folder or Hub name), more than one for a label with several seeds."},
    )
    tokens: str | None = field(default=None, metadata={"help": "Folder of packed tokens with held-out documents."})
    window: int = field(default=8192, metadata={"help": "Tokens of a long document that are read."})
    old_window: int | None = field(
        default=None, metadata={"help": "Window before the extension, marked in the figure. Default: from the models."}
    )
    documents: int = field(default=100, metadata={"help": "Most documents of each domain, long and short."})
    probes: bool = field(default=False, metadata={"help": "Passkey retrieval and copying, in Japanese."})
    trials: int = field(default=8, metadata={"help": "Texts for each length of a probe."})
    dtype: str = field(default="auto", metadata={"help": "float32, bfloat16 or auto (bfloat16 on a GPU)."})
    output_dir: str = field(default="runs/loss_by_position", metadata={"help": "Folder that the results go to."})

    def __post_init__(self):
        if self.window < 64 or self.documents < 2 or self.trials < 1:
            raise InputError("window must be at least 64, documents at least 2 and trials at least 1")
        if self.dtype not in ("auto", "float32", "bfloat16"):
            raise InputError(f"dtype must be auto, float32 or bfloat16, not {self.dtype!r}")
        self.checkpoints()

    def checkpoints(self) -> dict[str, list[str]]:
        """The checkpoints of each label, in the order given.

        Raises:
            InputError: an entry is not label=checkpoint, or there is none.
        """
        found: dict[str, list[str]] = {}
        for entry in self.models:
            label, equals, path = entry.partition("=")
            if not (label and equals and path):
                raise InputError(f"models: {entry!r} is not label=checkpoint")
            found.setdefault(label, []).append(path)
        if not found:
            raise InputError("--models is missing: before=runs/pretrain/model after=runs/extend_context/model")
        return found


def compare(config: CompareConfig) -> dict:
    """Reads, measures, prints and writes; returns what is written.

    Raises:
        InputError: a checkpoint or the tokens do not fit, or no document is long enough.
    """
    if not config.tokens:
        raise InputError("--tokens, a folder of packed tokens (recipes/pack_tokens.py), is missing")
    record = RunRecord("loss_by_position", config)
    shards, checkpoints = TokenShards.open(config.tokens), config.checkpoints()
    window_before = config.old_window or _old_window(checkpoints)
    text = HeldOutText.of(shards, config.window, window_before, config.documents)
    counts = {d: [int(part.sum()) for part in text.only(d)] for d in sorted({*text.long_domains, *text.short_domains})}
    print(f"documents of {config.window:,} tokens and more: {len(text.long)}; short ones: {len(text.short)} "
          f"({', '.join(f'{d} {long} and {short}' for d, (long, short) in counts.items())})")  # fmt: skip
    losses: dict[str, list[Losses]] = {}
    probed: dict[str, dict] = {}
    for label, paths in checkpoints.items():
        for path in paths:
            model = load(path, config.dtype)
            if model.config.vocab_size < shards.index["vocab_size"]:
                raise InputError(
                    f"{path} has a vocabulary of {model.config.vocab_size:,}, the tokens one of "
                    f"{shards.index['vocab_size']:,}; give the tokens that were made with its tokenizer"
                )
            print(f"reading with {path} ({label}) ...", flush=True)
            losses.setdefault(label, []).append(Losses.of(model, text))
            if config.probes and label not in probed:
                probed[label] = probe(model, path, config)
    ranges, output = buckets(config.window), Path(config.output_dir)
    result = {"window": config.window, "old_window": window_before, "documents": counts,
              "models": checkpoints, **summary(losses, ranges, text), "probes": probed}  # fmt: skip
    print(*table(losses, ranges), sep="\n")
    for label, scores in probed.items():
        print(*_lines_of_probes(label, scores), sep="\n")
    write_json(output / RESULT_NAME, result)
    draw_by_position(output / FIGURE_NAME, losses, ranges, window_before)
    models = {
        label: [[path, fingerprint_of_checkpoint(path)] for path in paths] for label, paths in checkpoints.items()
    }
    record.update("inputs", models=models)
    record.update("metrics", mean_loss=result["loss"])
    record.write(output)
    print(f"\n{output / FIGURE_NAME}   the figure\n{output / RESULT_NAME}   the numbers, by domain too")
    return result


def load(path: str, dtype: str) -> PreTrainedModel:
    """A checkpoint for reading, on the GPU where there is one."""
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    if dtype == "auto":
        dtype = "float32" if device.type == "cpu" else "bfloat16"
    return load_as_nec13b(path, dtype=getattr(torch, dtype)).eval().to(device)


def _old_window(checkpoints: dict[str, list[str]]) -> int:
    """The shortest window that any of the models was trained on first."""
    return min(old_window(config_of_checkpoint(path)) for paths in checkpoints.values() for path in paths)


def summary(losses: dict[str, list[Losses]], ranges: list[tuple[int, int]], text: HeldOutText) -> dict:
    """Loss and difference from the first label by range of positions, over all documents and by domain."""

    def numbers(label: str, against: str | None = None, domain: str | None = None) -> dict:
        long, short = text.only(domain) if domain else (None, None)
        found = estimates(losses[label], ranges, losses[against] if against else None, long, short)
        return {name: dataclasses.asdict(value) for name, value in found.items()}

    first, *others = losses
    domains = sorted({*text.long_domains, *text.short_domains})
    return {
        "loss": {label: numbers(label) for label in losses},
        "difference": {label: numbers(label, first) for label in others},
        "loss_by_domain": {d: {label: numbers(label, None, d) for label in losses} for d in domains},
        "difference_by_domain": {d: {label: numbers(label, first, d) for label in others} for d in domains},
    }


def table(losses: dict[str, list[Losses]], ranges: list[tuple[int, int]]) -> list[str]:
    """Loss by position, and below it the differences from the first label with their intervals."""
    first, *others = losses
    rows = {label: estimates(losses[label], ranges) for label in losses}
    width = max(len(label) for label in losses) + 2
    names = list(rows[first])
    lines = ["", "loss (nats per token)".ljust(width)]
    for name in names:
        lines.append(f"  {name:>16}  " + "  ".join(f"{label} {rows[label][name].mean:.3f}" for label in losses))
    if others:
        lines += ["", f"difference from {first}, with its 95% interval"]
        differences = {label: estimates(losses[label], ranges, losses[first]) for label in others}
        for name in names:
            values = "  ".join(f"{label} {differences[label][name]}" for label in others)
            lines.append(f"  {name:>16}  {values}")
    return lines


def probe(model: PreTrainedModel, path: str, config: CompareConfig) -> dict:
    """Passkeys and copies at lengths that double up to the window."""
    tokenizer = AutoTokenizer.from_pretrained(path)
    lengths = [config.window]
    while lengths[0] >= 512:
        lengths.insert(0, lengths[0] // 2)
    found = passkeys(model, tokenizer, [length - 8 for length in lengths], config.trials)
    copied = copies(model, tokenizer, [length // 2 - 1 for length in lengths], config.trials)
    return {"passkey": [dataclasses.asdict(score) for score in found],
            "copy": [dataclasses.asdict(score) for score in copied]}  # fmt: skip


def _lines_of_probes(label: str, scores: dict) -> list[str]:
    lines = ["", f"{label}: passkeys found (and their loss in nats) by length and depth"]
    for length in sorted({score["length"] for score in scores["passkey"]}):
        row = [score for score in scores["passkey"] if score["length"] == length]
        lines.append(
            f"  {length:>8,}  " + "  ".join(f"{s['depth']:.2f}: {s['found']:.0%} ({s['loss']:.1f})" for s in row)
        )
    lines.append(f"{label}: loss of a text at the first and at the second reading")
    lines += [f"  {s['distance']:>8,} tokens apart  {s['first']:.3f} -> {s['second']:.3f}" for s in scores["copy"]]
    return lines
