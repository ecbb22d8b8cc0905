"""How fast text becomes training sequences on this machine: tokenising and packing, then reading in the data order.

python benchmarks/data_path.py [--corpus ...]     writes its table into benchmarks/RESULTS.md
"""

import argparse
import tempfile
import time
from pathlib import Path

from results import machine, table, write_section

from nec13b.corpus import parse_sources, read_documents
from nec13b.corpus.mixture import resolve_proportions
from nec13b.pretraining import DataOrder, PackedSequences, write_token_shards
from nec13b.tokenization import sample_by_hash, save_tokenizer, train_tokenizer

SEQUENCES, SEQUENCE_LENGTH = 20_000, 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", nargs="+", default=["sample"])
    parser.add_argument("--repeats", type=int, default=3)
    corpus = parser.parse_args().corpus
    repeats = parser.parse_args().repeats

    documents = list(read_documents(parse_sources(corpus)))
    megabytes = sum(len(document.text.encode()) for document in documents) / 1e6
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        drawn = sample_by_hash(documents, 2_000_000)
        seconds = _best(repeats, lambda: train_tokenizer((document.text for document in drawn), 8192))
        drawn_mb = sum(len(document.text.encode()) for document in drawn) / 1e6
        rows.append(("train a tokenizer of 8,192", f"{drawn_mb:.1f} MB", seconds, f"{drawn_mb / seconds:.1f} MB/s"))
        tokenizer = save_tokenizer(train_tokenizer((d.text for d in drawn), 8192), Path(folder) / "tokenizer")
        path = Path(folder) / "tokens"
        seconds = _best(repeats, lambda: write_token_shards(documents, tokenizer, path, 0.0))
        rows.append(("tokenise and pack", f"{megabytes:.1f} MB", seconds, f"{megabytes / seconds:.1f} MB/s"))
        shards = write_token_shards(documents, tokenizer, path, 0.0)
        shares = resolve_proportions(None, list(shards.streams["train"]))
        train = PackedSequences(shards, SEQUENCE_LENGTH, shares, 0, SEQUENCES)
        seconds = _best(repeats, lambda: [train[i] for i in range(SEQUENCES)])
        read = f"{SEQUENCES:,} sequences of {SEQUENCE_LENGTH:,}"
        rows.append(
            ("read in the data order", read, seconds, f"{SEQUENCES * SEQUENCE_LENGTH / seconds / 1e6:.1f} M tokens/s")
        )
    # 100 billion tokens in sequences of 2,048: the order is computed, so its size costs nothing.
    huge = DataOrder({"ja": 24_400_000, "en": 19_500_000, "code": 4_900_000}, {"ja": 5, "en": 4, "code": 1}, 0)
    far = range(40_000_000, 40_000_000 + SEQUENCES)
    seconds = _best(repeats, lambda: [huge[i] for i in far])
    rows.append(
        ("place of a sequence, 100 B tokens", f"{SEQUENCES:,} places", seconds, f"{SEQUENCES / seconds:,.0f}/s")
    )

    rows = [[name, size, f"{seconds:.2f}", speed] for name, size, seconds, speed in rows]
    body = f"`python benchmarks/data_path.py` on {machine()}; best of {repeats}; corpus {' '.join(corpus)}.\n\n"
    write_section("Data path", body + table(["step", "input", "best of runs, s", "speed"], rows))


def _best(repeats: int, work) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
