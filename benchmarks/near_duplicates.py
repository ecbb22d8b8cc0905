"""How many planted near duplicates are found, by how much of them was edited, and how many strangers are taken for one.

python benchmarks/near_duplicates.py --japanese wiki.jsonl.gz books.jsonl.gz --english en.jsonl.gz

Documents are planted with edits at characters drawn by chance (changed, left out, doubled), and with whole sentences
exchanged for new ones, until the rate is reached. Recall: planted documents that are dropped. Precision: of all dropped
documents, those that were planted. Runs the blocks of the cleansing; writes a section of RESULTS.md.
"""

import argparse
import random
import re
import tempfile
import time
from pathlib import Path

from datatrove.data import Document as Row
from datatrove.pipeline.dedup import MinhashDedupBuckets
from loguru import logger
from results import machine, table, write_section

from nec13b.corpus import parse_sources, read_documents
from nec13b.corpus.dirty_corpus import edited
from nec13b.corpus.duplicates import DropDuplicates
from nec13b.corpus.near_duplicates import KeepFirstOfCluster, NearDuplicateSettings, WriteMinhashSignatures
from nec13b.corpus.normalisation import normalise

RATES = (0.05, 0.10, 0.20)
SENTENCE = re.compile(r"[^。.!?！？\n]*[。.!?！？\n]?")
SETTINGS = {
    "default": NearDuplicateSettings(),
    "13b preset": NearDuplicateSettings(bands=20, rows=6),
    "wide net": NearDuplicateSettings(bands=33, rows=3, similarity=0.25),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--japanese", nargs="+", default=["sample,domain=ja"])
    parser.add_argument("--english", nargs="+", default=["sample,domain=en"])
    parser.add_argument("--documents", type=int, default=2000, help="most documents of each language")
    parser.add_argument("--planted", type=int, default=300, help="planted documents of each kind and rate")
    options = parser.parse_args()
    logger.remove()  # datatrove tells of every step
    rows, natural = [], []
    for language, entries in (("ja", options.japanese), ("en", options.english)):
        texts = drawn(entries, options.documents)
        for name, settings in SETTINGS.items():
            start = time.perf_counter()
            already = dropped_of(texts, settings)  # what is alike without being planted is taken out first
            originals = [text for i, text in enumerate(texts) if i not in already]
            natural.append([language, name, f"{len(texts):,}", f"{len(already)}"])
            for how, edit in (("characters", edited), ("sentences", exchanged)):
                for rate in RATES:
                    rng = random.Random(f"{language}/{how}/{rate}")
                    chosen = rng.sample(range(len(originals)), min(options.planted, len(originals)))
                    planted = [edit(originals[i], rate, rng) for i in chosen]
                    gone = dropped_of(originals + planted, settings)
                    found = sum(i >= len(originals) for i in gone)
                    rows.append([language, name, f"{rate:.0%} of {how}", f"{found / len(planted):.1%}",
                                 f"{found / len(gone):.1%}" if gone else "-"])  # fmt: skip
            print(f"{language} {name}: {time.perf_counter() - start:.0f} s", flush=True)
    describe = "; ".join(
        f"{name}: shingle {s.shingle}, {s.bands} bands of {s.rows}, similarity from {s.similarity}"
        for name, s in SETTINGS.items()
    )
    sources = [Path(entry.split(",")[0]).name.split(".")[0] for entry in (*options.japanese, *options.english)]
    body = (
        f"`python benchmarks/near_duplicates.py ...` on {machine()}; {', '.join(sources)}; {options.planted} documents "
        f"planted at each rate. {describe}.\n\n"
        + table(["language", "settings", "edited", "recall", "precision"], rows)
        + "\n\nDropped before anything was planted (documents that are alike as they come):\n\n"
        + table(["language", "settings", "documents", "dropped"], natural)
    )
    write_section("Corpus: near duplicates", body)


def drawn(entries: list[str], most: int) -> list[str]:
    """Documents of 300 to 20,000 characters, the same number of each entry."""
    texts = []
    for entry in entries:
        fitting = (normalise(d.text) for d in read_documents(parse_sources(entry)) if 300 <= len(d.text) <= 20_000)
        texts += [text for text, _ in zip(fitting, range(most // len(entries)))]
    return texts


def exchanged(text: str, rate: float, rng: random.Random) -> str:
    """The text with whole sentences exchanged until that share of its characters is new."""
    sentences = [sentence for sentence in SENTENCE.findall(text) if sentence]
    left = rate * len(text)
    for place in rng.sample(range(len(sentences)), len(sentences)):
        if left <= 0:
            break
        left -= len(sentences[place])
        new = list(sentences[place])
        rng.shuffle(new)  # another sentence of the same length and letters, none of whose shingles was there
        sentences[place] = "".join(new)
    return "".join(sentences)


def dropped_of(texts: list[str], settings: NearDuplicateSettings) -> set[int]:
    """Numbers of the documents that are dropped as near duplicates."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bands, signatures, pairs, found = (folder / name for name in ("bands", "signatures", "pairs", "found"))
        rows = [Row(text, str(i), metadata={"row": i}) for i, text in enumerate(texts)]
        WriteMinhashSignatures(bands, signatures, settings).run(iter(rows), 0, 1)
        for band in range(settings.bands):
            MinhashDedupBuckets(str(bands), str(pairs), config=settings.minhash_config()).run(
                None, band, settings.bands
            )
        KeepFirstOfCluster(pairs, signatures, found, settings).run()
        kept = {int(row.id) for row in DropDuplicates(found, folder, "near_duplicates").run(iter(rows), 0, 1)}
    return set(range(len(texts))) - kept


if __name__ == "__main__":
    main()
