"""The data order of 512 GPUs over 100 billion tokens: start-up, completeness, proportions and an even deal.

python benchmarks/data_order_at_scale.py [--tokens 100e9] [--ranks 512]

The shards are sparse files (`truncate`), which take no room and read as zeros; the document ends are real numbers,
of lengths drawn from a lognormal distribution. Batches are dealt by accelerate's own BatchSamplerShard. Writes two
sections of RESULTS.md.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from accelerate.data_loader import BatchSamplerShard
from results import machine, table, write_section
from torch.utils.data import BatchSampler

from nec13b.pretraining import PackedSequences, TokenShards, packing_plan
from nec13b.pretraining.data_order import PermutedRange
from nec13b.pretraining.packing import PACKINGS, BestFitPacking
from nec13b.pretraining.sequences import SequencesInOrder
from nec13b.pretraining.token_shards import ENDS_DTYPE, FORMAT
from nec13b.run_record import write_json

PROPORTIONS = {"ja": 0.45, "en": 0.35, "code": 0.2}
MEAN_LENGTH, SPREAD = 1000, 1.2  # tokens in a document, and the standard deviation of its logarithm
SEQUENCE_LENGTH, TOKENS_PER_BATCH, PER_DEVICE, SEED = 2048, 4_194_304, 4, 42
FIELDS = ("imports", "open", "plan", "first batch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=float, default=100e9)
    parser.add_argument("--ranks", type=int, default=512)
    parser.add_argument("--folder", type=Path, help="where the sparse shards go (default: a temporary folder)")
    parser.add_argument("--start_up", nargs=3, metavar=("TOKENS", "PACKING", "RANK"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.start_up:
        return measure_start_up(*arguments.start_up)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        tokens = Path(folder) / "tokens"
        wanted = {domain: int(arguments.tokens * share) for domain, share in PROPORTIONS.items()}
        shards = write_sparse_shards(tokens, wanted)
        starts = [
            (name, _start_up_in_a_process(tokens, packing, rank))
            for name, packing, rank in (
                ("concatenated, rank 0", "concatenated", 0),
                ("best_fit, rank 0: makes the plan", "best_fit", 0),
                ("best_fit, last rank: finds the plan", "best_fit", arguments.ranks - 1),
            )
        ]
        checked = [
            check_order(shards, packing, arguments.ranks, TOKENS_PER_BATCH, SEQUENCE_LENGTH) for packing in PACKINGS
        ]
    documents = sum(stream.documents for stream in shards.streams["train"].values())
    said = f"`python benchmarks/data_order_at_scale.py` on {machine()}. {arguments.tokens / 1e9:g} billion tokens in "
    said += f"{documents:,} documents of {MEAN_LENGTH:,} tokens on average, sequences of {SEQUENCE_LENGTH:,}, "
    said += f"batches of {TOKENS_PER_BATCH:,} tokens, {arguments.ranks} ranks.\n\n"
    rows = [
        [name, *(f"{seconds[field]:.2f}" for field in FIELDS), f"{sum(seconds[f] for f in FIELDS):.1f}",
         f"{seconds['memory'] / 1e9:.1f}"]
        for name, seconds in starts
    ]  # fmt: skip
    head = ["start-up of a process, seconds", *FIELDS, "in all", "peak memory, GB"]
    write_section("Data order at scale: start-up", said + table(head, rows))
    rows = [[name, *(check[name] for check in checked)] for name in checked[0]]
    write_section("Data order at scale: checks", said + table(["check", *PACKINGS], rows))


def write_sparse_shards(folder: Path, tokens: dict[str, int], shard_tokens: int = 1_000_000_000) -> TokenShards:
    """Token shards of so many tokens by domain, all zeros, with documents of lognormal lengths."""
    folder.mkdir(parents=True)
    streams, rng = {}, np.random.default_rng(0)
    for domain, total in tokens.items():
        shards = []
        for i, start in enumerate(range(0, total, shard_tokens)):
            shards.append({"file": f"train-{domain}-{i:05d}.bin", "tokens": min(shard_tokens, total - start)})
            with (folder / shards[-1]["file"]).open("wb") as file:
                file.truncate(2 * shards[-1]["tokens"])
        documents, end = 0, 0
        with (folder / f"train-{domain}.ends").open("wb") as file:
            while end < total:
                lengths = rng.lognormal(np.log(MEAN_LENGTH) - SPREAD**2 / 2, SPREAD, 2**20).astype(np.int64) + 2
                ends = end + np.cumsum(lengths)
                ends = np.append(ends[ends < total], total) if ends[-1] >= total else ends
                file.write(ends.astype(ENDS_DTYPE).data)
                documents, end = documents + len(ends), int(ends[-1])
        entry = {"documents": documents, "tokens": total, "shards": shards}
        streams[f"train/{domain}"] = entry | {"ends": {"file": f"train-{domain}.ends", "sha256": "synthetic"}}
    index = {"format": FORMAT, "dtype": "uint16", "tokenizer": "synthetic", "vocab_size": 50176, "padding_token": 0,
             "corpus": "synthetic", "held_out_fraction": 0.0, "mixture": None, "streams": streams}  # fmt: skip
    write_json(folder / "index.json", index)
    return TokenShards.open(folder)


def measure_start_up(folder: str, packing: str, rank: str) -> None:
    """Prints, as JSON, the seconds from the start of this process to the first batch of a rank."""
    imports, began = time.time() - psutil.Process().create_time(), time.perf_counter()
    shards = TokenShards.open(folder)
    opened = time.perf_counter()
    plan = packing_plan(shards, SEQUENCE_LENGTH, Path(folder).parent / "run") if packing == "best_fit" else None
    planned = time.perf_counter()
    train = PackedSequences(shards, SEQUENCE_LENGTH, PROPORTIONS, SEED, 10**8, plan, attend_across_documents=False)
    first = int(rank) * PER_DEVICE
    assert all(train[i]["input_ids"].shape == (SEQUENCE_LENGTH,) for i in range(first, first + PER_DEVICE))
    ready = time.perf_counter()
    seconds = dict(zip(FIELDS, (imports, opened - began, planned - opened, ready - planned)))
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(seconds | {"memory": memory}))


def _start_up_in_a_process(folder: Path, packing: str, rank: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--start_up", str(folder), packing, str(rank)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(said.splitlines()[-1])


def check_order(shards: TokenShards, packing: str, ranks: int, tokens_per_batch: int, length: int) -> dict[str, str]:
    """Checks a whole run of about an epoch; raises AssertionError where anything is not as promised.

    Returns:
        What was checked, by name, in words.
    """
    plan = packing_plan(shards, length, shards.folder.parent / "run") if packing == "best_fit" else None
    batch = tokens_per_batch // length
    epoch = sum(stream.tokens for stream in shards.streams["train"].values()) // length
    steps = max(2, epoch // batch)
    train = PackedSequences(shards, length, PROPORTIONS, SEED, steps * batch, plan)
    return {
        "tokens in an epoch, each once": f"{_check_every_token_once(train):,}",
        "places filled": f"{np.average(list(train.filled.values()), weights=list(PROPORTIONS.values())):.4%}",
        **_check_proportions(train, batch, steps),
        **_check_the_deal(train, batch, steps, ranks),
    }


def _check_every_token_once(train: PackedSequences) -> int:
    """Every sequence once an epoch, by walking the whole permutation, and every token in one sequence."""
    tokens = 0
    for domain, packing in train.packings.items():
        size = len(packing)
        for epoch in (0, 1):
            visited = np.zeros(size, bool)
            order = PermutedRange(size, (SEED, domain, epoch))
            for start in range(0, size, 2**22):
                visited[order.take(np.arange(start, min(size, start + 2**22)))] = True
            assert visited.all()
        stream = train.streams[domain]
        if isinstance(packing, BestFitPacking):
            packed = packing.packed
            by_start = np.argsort(packed.starts, kind="stable")
            starts = packed.starts[by_start]
            stops = starts + packed.lengths[by_start]
            assert starts[0] == 0
            assert stops[-1] == stream.tokens
            assert np.array_equal(starts[1:], stops[:-1])
            assert np.add.reduceat(packed.lengths, packed.offsets[:-1]).max() <= train.sequence_length
        else:
            last = packing.pieces(size - 1)[0]
            assert last == ((size - 1) * train.sequence_length, stream.tokens - (size - 1) * train.sequence_length)
        tokens += stream.tokens
    # That the order takes the k-th element of the permutation for a domain's k-th sequence, at places all over the run.
    for i in np.random.default_rng(1).integers(0, len(train), 2000).tolist():
        domain, sequence = train.order[i]
        epoch, position = divmod(train.order.counts(i)[domain], train.order.windows[domain])
        order = PermutedRange(train.order.windows[domain], (SEED, domain, epoch))
        assert sequence == int(order.take(np.array([position]))[0])
    return tokens


def _check_proportions(train: PackedSequences, batch: int, steps: int) -> dict[str, str]:
    weights = train.order.weights
    shares = np.array([weight / sum(weights.values()) for weight in weights.values()])
    edges = np.array([list(train.order.counts(step * batch).values()) for step in range(steps + 1)])
    assert (edges.sum(1) == np.arange(steps + 1) * batch).all()
    running = np.abs(edges - np.arange(steps + 1)[:, None] * batch * shares).max()
    by_batch = np.abs(np.diff(edges, axis=0) - batch * shares).max()
    assert running <= len(shares) / 2
    assert by_batch <= len(shares)
    filled = np.array([train.filled[domain] for domain in weights])
    tokens = edges[-1] * filled / (edges[-1] * filled).sum()
    return {
        f"largest error of a domain in any of {steps:,} batches, sequences": f"{by_batch:.2f}",
        "largest error of a domain in the run so far, sequences": f"{running:.2f}",
        "share of tokens after the run": ", ".join(
            f"{domain} {share:.4%}" for domain, share in zip(train.order.weights, tokens)
        ),
    }


def _check_the_deal(train: PackedSequences, batch: int, steps: int, ranks: int) -> dict[str, str]:
    """What accelerate deals to each rank: in every step all ranks hold the batch, each as much, none nothing."""
    per_device = min(PER_DEVICE, batch // ranks)
    seen = 0
    for step in {0, steps // 2, steps - 2}:
        start = step * batch
        per_rank = []
        for rank in range(ranks):
            sampler = BatchSampler(SequencesInOrder(len(train), lambda start=start: start), per_device, drop_last=False)
            dealt = BatchSamplerShard(sampler, ranks, rank)
            assert len(dealt) * ranks * per_device == len(train)
            passes = iter(dealt)
            per_rank.append([next(passes) for _ in range(2 * batch // (ranks * per_device))])
        held = np.array(per_rank)  # rank, pass, place
        assert held.size == 2 * batch
        by_step = np.sort(held.transpose(1, 0, 2).reshape(2, batch), axis=1)
        assert np.array_equal(by_step, start + np.arange(2 * batch).reshape(2, batch))
        seen += 2
    return {f"steps dealt to {ranks} ranks by accelerate, complete and even": f"{seen} at start, middle and end"}


if __name__ == "__main__":
    main()
