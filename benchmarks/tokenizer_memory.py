"""Memory and time of training a tokenizer by size of the corpus, and what follows for 10 GB.

python benchmarks/tokenizer_memory.py --corpus "sample/ja_*.jsonl.gz" --megabytes 100 300 1000

The corpus is generated: each character is drawn from those that follow the four before it in the given text. Such
text holds more phrases that nobody has written than real text does, and phrases are what takes memory, so the figures
are upper bounds. The recipe is run as a user runs it, with two workers and a vocabulary of 50,176. Memory is sampled
five times a second over the run's process and all its children. Writes a section of RESULTS.md.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from process_memory import peaks_of
from results import machine, table, write_section

from nec13b.corpus import parse_sources, read_documents

RECIPE = Path(__file__).parent.parent / "recipes" / "train_tokenizer.py"
ORDER = 4
DOCUMENT = 2_000  # characters
AT_ONCE = 10_000  # documents
WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", nargs="+", default=["sample,domain=ja"])
    parser.add_argument("--megabytes", nargs="+", type=int, default=[100, 300, 1000])
    parser.add_argument("--predict_megabytes", type=int, default=10_000)
    options = parser.parse_args()
    text = "\n".join(document.text for document in read_documents(parse_sources(options.corpus)))
    writer = Imitation(text)
    rows, measured = [], []
    for megabytes in sorted(options.megabytes):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            writer.write(folder / "corpus", megabytes * 1_000_000)
            command = [sys.executable, str(RECIPE), "--config", str(RECIPE.parent / "configs/13b/train_tokenizer.yaml"),
                       "--corpus", f"{folder}/corpus,domain=ja", "--output_dir", str(folder / "out"),
                       "--workers", str(WORKERS), "--most_pre_tokens", "3000000"]  # fmt: skip
            start = time.perf_counter()
            together, largest = peaks_of(command)
            seconds = time.perf_counter() - start
            record = json.loads((folder / "out" / "run.json").read_text())
        different, dropped = record["counts"]["pre_tokens"], record["metrics"]["dropped_share"]
        timings = record["timings_seconds"]
        measured.append((megabytes, different, timings["counting"], timings["total"]))
        rows.append([f"{megabytes:,}", f"{different:,}", f"{dropped:.1%}", f"{timings['counting']:.0f}",
                     f"{timings['merging']:.0f}", f"{timings['removal']:.0f}", f"{seconds:.0f}",
                     f"{together / 2**30:.1f}", f"{largest / 2**30:.1f}"])  # fmt: skip
        print(rows[-1], flush=True)
    head = ["MB", "different pre-tokens", "characters not seen", "counting, s", "merging, s", "removal, s", "in all, s",
            "peak of all processes, GiB", "of the largest, GiB"]  # fmt: skip
    body = (
        f"`python benchmarks/tokenizer_memory.py ...` on {machine()}, {WORKERS} workers; Japanese generated from "
        f"{', '.join(Path(entry.split(',')[0]).name for entry in options.corpus)} ({len(text):,} characters). "
        f"A vocabulary of 50,176; training holds at most 3 M pre-tokens.\n\n{table(head, rows)}\n\n"
    )
    write_section("Tokenizer: memory and time by size", body + law(measured, options.predict_megabytes))


def law(measured: list[tuple[int, int, float, float]], megabytes: int) -> str:
    """What the measured sizes say of a larger one."""
    (small, few, *_), (large, many, counting, total) = measured[0], measured[-1]
    exponent = math.log(many / few) / math.log(large / small) if large > small else 1.0
    factor = megabytes / large
    different = many * factor**exponent
    predicted = (total - counting + counting * factor) / 60
    return (
        f"Different pre-tokens grow with the {exponent:.2f}th power of the text. Those beyond what training may hold "
        "stay on disk, so memory and the time of merging are bounded by most_pre_tokens, and only reading and counting "
        f"grow with the text. For {megabytes:,} MB this predicts {different / 1e6:,.0f} M different pre-tokens, about "
        f"{different * 30 / 1e9:,.0f} GB on disk, and {predicted:,.0f} minutes on {WORKERS} cores, "
        f"of which {counting * factor / 60:,.0f} are reading and counting."
    )


class Imitation:
    """Writes text like a given one, character by character.

    Args:
        text: what is imitated.
    """

    def __init__(self, text: str):
        self.characters = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        context = np.zeros(len(self.characters) - ORDER, np.uint64)
        for i in range(ORDER):
            context = context * np.uint64(0x9E3779B97F4A7C15) + self.characters[i : i + len(context)]
        self.order = np.argsort(context, kind="stable").astype(np.int32)
        _, inverse, sizes = np.unique(context, return_inverse=True, return_counts=True)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self.start, self.size = starts[inverse].astype(np.int32), sizes[inverse].astype(np.int32)
        self.rng = np.random.default_rng(0)

    def documents(self, number: int) -> list[str]:
        """That many documents of DOCUMENT characters."""
        last = len(self.order) - 1
        places = self.rng.integers(0, last, number)
        lines = np.empty((DOCUMENT, number), np.uint32)
        for i in range(DOCUMENT):
            chosen = self.start[places] + self.rng.integers(0, 2**31, number) % self.size[places]
            following = self.order[chosen]
            lines[i] = self.characters[following + ORDER]
            places = np.minimum(following + 1, last)
        return [line.tobytes().decode("utf-32-le") for line in np.ascontiguousarray(lines.T)]

    def write(self, folder: Path, size: int) -> None:
        """Writes JSONL files of at least that many bytes together."""
        folder.mkdir()
        written = number = 0
        while written < size:
            with (folder / f"{number:04d}.jsonl").open("wb") as file:
                for text in self.documents(AT_ONCE):
                    written += file.write(json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n")
                    if written >= size:
                        break
            number += 1


if __name__ == "__main__":
    main()
