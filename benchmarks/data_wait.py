"""How long a training step waits for its data, and how fast one process reads against what GPUs consume at 13B.

python benchmarks/data_wait.py [--megatokens 400]     writes two sections into benchmarks/RESULTS.md

Shards of random tokens and documents are written to disk and read by a real DataLoader with the Trainer's settings.
The step is a pause as long as one GPU takes at 13B (6 FLOPs a parameter and token). "Cold" means that the kernel was
told to drop the files from its cache before (posix_fadvise), "warm" that they were read just before.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from results import machine, table, write_section
from torch.utils.data import DataLoader

from nec13b.pretraining import PackedSequences, SequenceCollator, TokenShards, packing_plan
from nec13b.pretraining.token_shards import ENDS_DTYPE, FORMAT
from nec13b.run_record import write_json

PROPORTIONS = {"ja": 0.45, "en": 0.35, "code": 0.2}
SEQUENCE_LENGTH, PER_DEVICE, STEPS = 2048, 4, 60
PARAMETERS = 13_201_986_560
GPUS = {"A100": 312e12, "H100": 989e12}  # peak of dense bfloat16, FLOP/s (NVIDIA's data sheets)
MFU = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megatokens", type=float, default=400)
    parser.add_argument("--folder", type=Path, help="where the shards go (default: a temporary folder)")
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    consumed = {gpu: MFU * peak / (6 * PARAMETERS) for gpu, peak in GPUS.items()}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        tokens = Path(folder) / "tokens"
        write_random_shards(tokens, int(arguments.megatokens * 1e6))
        read, waited = [], []
        for packing in ("concatenated", "best_fit"):
            for state in ("cold", "warm"):
                speed = reading_speed(tokens, packing, state)
                node = 8 * consumed["H100"]
                read.append([packing, state, f"{speed / 1e6:.1f}", f"{speed / consumed['A100']:,.0f}",
                             f"{speed / consumed['H100']:,.0f}", f"{speed / node:,.0f}"])  # fmt: skip
            for state in ("cold", "warm"):
                for workers in (0, 1, 2):
                    step = PER_DEVICE * SEQUENCE_LENGTH / consumed["H100"]
                    waits, first = waiting_time(tokens, packing, state, workers, step, arguments.steps)
                    share = np.mean(waits) / step
                    waited.append([packing, state, str(workers), f"{first:.2f}", f"{1000 * np.median(waits):.2f}",
                                   f"{1000 * max(waits):.1f}", f"{share:.3%}"])  # fmt: skip
    said = f"`python benchmarks/data_wait.py` on {machine()}; {arguments.megatokens:g} million tokens, documents kept "
    said += f"apart, sequences of {SEQUENCE_LENGTH:,}. "
    rates = " and ".join(f"{rate:,.0f} on an {gpu}" for gpu, rate in consumed.items())
    fast = said + f"At {MFU:.0%} of the peak, 13B consumes {rates} tokens a second. One process, no workers.\n\n"
    head = ["packing", "page cache", "read, M tokens/s", "times an A100", "times an H100", "times a node of 8 H100"]
    write_section("Data wait: reading speed", fast + table(head, read))
    step = PER_DEVICE * SEQUENCE_LENGTH / consumed["H100"]
    slow = (
        said + f"{arguments.steps} steps of {PER_DEVICE} sequences, each {step:.2f} s long (one H100 at {MFU:.0%}).\n\n"
    )
    head = ["packing", "page cache", "workers", "first batch, s", "median wait, ms", "longest, ms", "of the step"]
    write_section("Data wait: a step's wait", slow + table(head, waited))


def write_random_shards(folder: Path, tokens: int, shard_tokens: int = 100_000_000) -> None:
    """Shards of random tokens with documents of lognormal lengths, about 1,000 tokens on average."""
    folder.mkdir(parents=True)
    rng, streams = np.random.default_rng(0), {}
    for domain, share in PROPORTIONS.items():
        lengths = rng.lognormal(6.2, 1.2, int(tokens * share / 1000) + 1).astype(np.int64) + 2
        ends, shards = np.cumsum(lengths), []
        for i, start in enumerate(range(0, ends[-1], shard_tokens)):
            shards.append({"file": f"train-{domain}-{i:05d}.bin", "tokens": int(min(shard_tokens, ends[-1] - start))})
            _write(folder / shards[-1]["file"], rng.integers(0, 50_000, shards[-1]["tokens"], dtype=np.uint16))
        _write(folder / f"train-{domain}.ends", ends.astype(ENDS_DTYPE))
        entry = {"documents": len(ends), "tokens": int(ends[-1]), "shards": shards}
        streams[f"train/{domain}"] = entry | {"ends": {"file": f"train-{domain}.ends", "sha256": "random"}}
    index = {"format": FORMAT, "dtype": "uint16", "tokenizer": "random", "vocab_size": 50176, "padding_token": 0,
             "corpus": "random", "held_out_fraction": 0.0, "mixture": None, "streams": streams}  # fmt: skip
    write_json(folder / "index.json", index)


def _write(path: Path, values: np.ndarray) -> None:
    with path.open("wb") as file:
        file.write(values.data)
        file.flush()
        os.fsync(file.fileno())  # only what is on disk can be dropped from the cache


def sequences(folder: Path, packing: str, state: str, number: int) -> PackedSequences:
    """The training sequences, with the files in the page cache or not."""
    shards = TokenShards.open(folder)
    plan = packing_plan(shards, SEQUENCE_LENGTH, folder.parent / "run") if packing == "best_fit" else None
    del shards, plan  # what a process has mapped is not dropped
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                if state == "cold":
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                else:
                    while file.read(2**24):
                        pass
    shards = TokenShards.open(folder)
    plan = packing_plan(shards, SEQUENCE_LENGTH, folder.parent / "run") if packing == "best_fit" else None
    return PackedSequences(shards, SEQUENCE_LENGTH, PROPORTIONS, 0, number, plan, attend_across_documents=False)


def reading_speed(folder: Path, packing: str, state: str, number: int = 8000) -> float:
    """Tokens per second of one process that does nothing but read sequences in their order and stack them."""
    train = sequences(folder, packing, state, number)
    collate = SequenceCollator("flash_attention_2")
    start = time.perf_counter()
    for i in range(0, number, PER_DEVICE):
        collate([train[i + j] for j in range(PER_DEVICE)])
    return number * SEQUENCE_LENGTH / (time.perf_counter() - start)


def waiting_time(folder: Path, packing: str, state: str, workers: int, step: float, steps: int) -> tuple[list, float]:
    """(seconds that each step but the first waited for its batch, seconds until the first batch)."""
    train = sequences(folder, packing, state, (steps + 1) * PER_DEVICE)
    collate = SequenceCollator("flash_attention_2")
    start = time.perf_counter()
    batches = iter(DataLoader(train, PER_DEVICE, num_workers=workers, collate_fn=collate))
    next(batches)
    first, waits = time.perf_counter() - start, []
    for _ in range(steps):
        time.sleep(step)
        start = time.perf_counter()
        next(batches)
        waits.append(time.perf_counter() - start)
    return waits, first


if __name__ == "__main__":
    main()
