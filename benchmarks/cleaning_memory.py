"""Memory and speed of a whole cleansing by size of the corpus: memory must not grow with it.

python benchmarks/cleaning_memory.py --corpus wiki.jsonl.gz books.jsonl.gz --megabytes 100 300 1000

The corpus is generated: documents of three passages drawn by chance from the given text, in files of 50 MB. The recipe
is run as a user runs it, with two workers. Memory is sampled five times a second over the run's process and all its
children: proportional set size (what processes share counts once) for all of them together, and resident set size for
the largest. Writes a section of RESULTS.md.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from process_memory import peaks_of
from results import machine, table, write_section

from nec13b.corpus import parse_sources, read_documents

RECIPE = Path(__file__).parent.parent / "recipes" / "clean_corpus.py"
FILE_BYTES = 50_000_000
PASSAGE = 700  # characters
WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", nargs="+", default=["sample,domain=ja"])
    parser.add_argument("--megabytes", nargs="+", type=int, default=[100, 300, 1000])
    options = parser.parse_args()
    texts = [d.text for d in read_documents(parse_sources(options.corpus)) if len(d.text) > PASSAGE]
    rows = []
    for megabytes in sorted(options.megabytes):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            documents = write_corpus(texts, folder / "corpus", megabytes * 1_000_000)
            flags = ["--corpus", str(folder / "corpus"), "--output_dir", str(folder / "out"), "--workers", str(WORKERS)]
            start = time.perf_counter()
            together, largest = peaks_of([sys.executable, str(RECIPE), *flags])
            seconds = time.perf_counter() - start
            kept = json.loads((folder / "out" / "report.json").read_text())["kept"]["documents"]
        rows.append([f"{megabytes:,}", f"{documents:,}", f"{kept:,}", f"{seconds:.0f}", f"{megabytes / seconds:.1f}",
                     f"{together / 2**20:,.0f}", f"{largest / 2**20:,.0f}"])  # fmt: skip
        print(rows[-1], flush=True)
    head = ["MB", "documents", "kept", "seconds", "MB/s", "peak of all processes, MiB", "of the largest, MiB"]
    body = (
        f"`python benchmarks/cleaning_memory.py ...` on {machine()}, {WORKERS} workers; text drawn from "
        f"{', '.join(Path(entry.split(',')[0]).name.split('.')[0] for entry in options.corpus)}. The whole cleansing, "
        "without learned filter: filters, exact and near duplicates, repeated lines, report.\n\n" + table(head, rows)
    )
    write_section("Corpus: memory by size", body)


def write_corpus(texts: list[str], folder: Path, size: int) -> int:
    """Writes JSONL files of at least that many bytes together; returns the number of documents."""
    folder.mkdir()
    rng, written, documents = random.Random(0), 0, 0
    for number in range(-(-size // FILE_BYTES)):
        with (folder / f"{number:04d}.jsonl").open("wb") as file:
            while written < min(size, (number + 1) * FILE_BYTES):
                passages = []
                for text in rng.sample(texts, 3):
                    start = rng.randrange(len(text) - PASSAGE + 1)
                    passages.append(text[start : start + PASSAGE])
                row = {"text": "\n".join(passages), "url": f"https://site{rng.randrange(500)}.example/{documents}"}
                written += file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
                documents += 1
    return documents


if __name__ == "__main__":
    main()
