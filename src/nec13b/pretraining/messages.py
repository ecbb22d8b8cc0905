"""What a training run says to the person who started it, at its start and at its end."""

import math
from pathlib import Path

from .config import PretrainConfig
from .sequences import PackedSequences
from .token_shards import TokenShards


def say_what_will_run(config: PretrainConfig, described: list[str], parameters: int, checkpoint: Path | None) -> None:
    """The run's size, its text and where it goes on from."""
    print(f"model: {parameters:,} parameters; batch: {config.tokens_per_batch:,} tokens = {config.sequence_length} x "
          f"{config.per_device_train_batch_size} x {config.gradient_accumulation_steps} steps x "
          f"{config.layout.data_parallel} processes; {config.max_steps:,} steps")  # fmt: skip
    print(*described, sep="\n")
    if checkpoint:
        print(f"going on from {checkpoint}")


def lines_of_domains(
    shards: TokenShards, proportions: dict[str, float], train: PackedSequences, held_out: dict
) -> list[str]:
    """A line for each domain of the mixture: its share, how much there is of it, and how often it is seen."""
    epochs, lines = train.order.epochs(len(train)), []
    for domain, share in proportions.items():
        stream = shards.streams["train"][domain]
        note = note_on_text(shards, domain, epochs[domain], domain in held_out)
        lines.append(
            f"  {domain}: {share:.0%} of tokens, {stream.tokens:,} in {stream.documents:,} documents, "
            f"{epochs[domain]:.2f} epochs, sequences {train.filled[domain]:.2%} full{note}"
        )
    return lines


def note_on_text(shards: TokenShards, domain: str, epochs: float, is_held_out: bool) -> str:
    """What is to be said of a text beside its size: that none of it is evaluated, or that it is seen too often."""
    note = "" if is_held_out else "; too little held-out text to evaluate, raise held_out_fraction"
    if epochs > (most := shards.most_passes.get(domain, math.inf)):
        note += f"; the mixture of the corpus allows {most:g} (max_epochs): train for fewer steps, or add text"
    return note


def say_what_came_out(
    output: Path, curves: dict[str, list[tuple[int, float]]], vocab_size: int, next_steps: str
) -> None:
    """The held-out losses at start and end, what lies where, and what to do next."""
    for domain, curve in sorted(curves.items()):
        fall = 1 - curve[-1][1] / curve[0][1]
        print(f"held-out {domain}: {curve[0][1]:.3f} -> {curve[-1][1]:.3f} ({fall:.0%} lower; "
              f"a uniform guess has {math.log(vocab_size):.3f})")  # fmt: skip
    samples = f"{output}/samples.md   what it wrote before and after\n" if (output / "samples.md").is_file() else ""
    print(f"""
{output}/model        the model: AutoModelForCausalLM.from_pretrained("{output}/model")
{output}/loss.png     the loss curve
{samples}{output}/run.json     what was run, on what, with what result

{next_steps}""")
