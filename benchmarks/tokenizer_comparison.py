"""The tokenizer beside others: compression, also of a domain it never saw; speed and memory of training; encoding.

python benchmarks/tokenizer_comparison.py --corpus sample/*.jsonl.gz --peers llm-jp=FOLDER llama-3=tokenizer.model \\
    --manuals FOLDER

The tokenizer is trained by the recipe with 50,176 tokens on the training part of --corpus and of Python's standard
library, and measured on their held-out part. --manuals is a folder of manual pages (Debian's manpages-ja, unpacked by
`dpkg -x`), a domain that is not in the corpus. Training is compared on the same text: sentencepiece's BPE and
rustbpe, each in a process of its own. Writes sections of RESULTS.md; --only names one of compression, training,
encoding.
"""

import argparse
import gzip
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from process_memory import peaks_of
from results import machine, table, write_section
from tokenizers import Tokenizer

from nec13b.corpus import is_held_out, parse_sources, read_documents
from nec13b.tokenization import bytes_of_ids, ids_of_bytes, ids_of_text, load_tokenizer, sample_by_hash
from nec13b.tokenization.bpe import FIRST_TOKENS, unreachable
from nec13b.tokenization.drawing import hash_of
from nec13b.tokenization.peers import Peer, load_peers
from nec13b.tokenization.removal import unsuitable_tokens
from nec13b.tokenization.unsuitable import token_classes

RECIPE = Path(__file__).parent.parent / "recipes" / "train_tokenizer.py"
LIBRARY = "sample,domain=code,label=standard_library"  # without what is left out of the sample: tests, tables
HELD_OUT = "0.05"
PRE_TOKENS = (3_000_000, 500_000, 200_000, 100_000)  # that training may hold, for --only cutting


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", nargs="+", default=["sample"])
    parser.add_argument("--peers", nargs="+", default=[])
    parser.add_argument("--manuals")
    parser.add_argument("--tokenizer", help="folder of a tokenizer trained before; default: train it")
    parser.add_argument("--training_megabytes", type=int, default=30)
    parser.add_argument("--vocab_size", type=int, default=50_176)
    parser.add_argument("--only", choices=["compression", "training", "encoding", "cutting"])
    options = parser.parse_args()
    if not any(entry.split(",")[0] == "sample" for entry in options.corpus):  # which holds the library already
        options.corpus.append(LIBRARY)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(options.tokenizer or Path(folder) / "tokenizer")
        if options.only not in ("training", "cutting"):
            start = time.perf_counter()
            subprocess.run(
                recipe(options, made, "--report", *(["--peers", *options.peers] if options.peers else [])), check=True
            )
            print(f"{time.perf_counter() - start:.0f} s")
        if options.only in (None, "compression"):
            compression(json.loads((made / "report.json").read_text()), options, made)
        if options.only in (None, "encoding"):
            encoding(made, options)
        if options.only in (None, "training"):
            training(Path(folder), options)
        if options.only in (None, "cutting"):
            cutting(Path(folder), options)


def recipe(options: argparse.Namespace, output: Path, *flags: str) -> list[str]:
    """The command that trains the tokenizer as the 13B preset does, but for what a small corpus needs."""
    config = RECIPE.parent / "configs" / "13b" / "train_tokenizer.yaml"
    return [sys.executable, str(RECIPE), "--config", str(config), "--corpus", *options.corpus,
            "--output_dir", str(output), "--vocab_size", str(options.vocab_size), "--held_out_fraction", HELD_OUT,
            "--min_documents", "3", "--workers", "2", *flags]  # fmt: skip


def cutting(folder: Path, options: argparse.Namespace) -> None:
    """What it costs when training may hold fewer pre-tokens than the text has."""
    rows, sources = [], []
    for most in PRE_TOKENS:
        output = folder / f"cut-{most}"
        subprocess.run(recipe(options, output, "--most_pre_tokens", str(most), "--report"), check=True)
        report, record = (json.loads((output / name).read_text()) for name in ("report.json", "run.json"))
        sizes, sources = report["sources"], sorted(report["sources"])
        used = report["tokenizers"][0]["tokens"]["sources"]
        rows.append([f"{min(most, record['counts']['pre_tokens']):,}", f"{record['metrics']['dropped_share']:.1%}",
                     *(f"{sizes[source]['characters'] / used[source]:.3f}" for source in sources)])  # fmt: skip
        print(rows[-1], flush=True)
    write_section(
        "Tokenizer: what cutting rare pre-tokens costs",
        f"`python benchmarks/tokenizer_comparison.py ...` on {machine()}. Characters per token of held-out text, "
        "when training "
        "holds at most so many different pre-tokens (the first row: all that the text has).\n\n"
        + table(["pre-tokens held", "characters not seen", *sources], rows),
    )


def compression(report: dict, options: argparse.Namespace, made: Path) -> None:
    """Characters per token by source of the report, and of the manuals."""
    tokenizers = report["tokenizers"]
    rows = [
        [source, f"{size['documents']:,}", f"{size['characters']:,}"]
        + [f"{size['characters'] / each['tokens']['sources'][source]:.3f}" for each in tokenizers]
        for source, size in sorted(
            report["sources"].items(), key=lambda item: ("code en ja".index(item[0][:2]), item[0])
        )
    ]
    if options.manuals:
        texts = manuals(Path(options.manuals))
        peers = [Peer("nec13b", load_tokenizer(made).tokenizer.backend_tokenizer), *load_peers(options.peers)]
        characters = sum(map(len, texts))
        rows.append(["not in training: Debian's Japanese manuals", f"{len(texts):,}", f"{characters:,}"]
                    + [f"{characters / sum(peer.lengths(texts)):.3f}" for peer in peers])  # fmt: skip
    checked = round_trips(made, options)
    classes = [row["class"] for row in report["removed"] if row["class"] not in ("rare", "variant", "unreachable")]
    head = ["held-out text", "documents", "characters"]
    head += [f"{each['name']} ({each['vocab_size']:,})" for each in tokenizers]
    unsuitable = [[name, *(f"{each['unsuitable'].get(name, 0):,}" for each in tokenizers)] for name in classes]
    removed = {row["class"]: row["tokens"] for row in report["removed"] if row["tokens"]}
    before = report["training"]["characters_per_token"]
    write_section(
        "Tokenizer: compression",
        f"`python benchmarks/tokenizer_comparison.py ...` on {machine()}. Characters per token; a tokenizer is at "
        "home in "
        "the sources it was trained on, as nec13b is in all but the last row.\n\n"
        + table(head, rows)
        + "\n\nUnsuitable tokens in each vocabulary, by the tests that look at one token alone:\n\n"
        + table(["class", *(each["name"] for each in tokenizers)], unsuitable)
        + "\n\nRemoved from nec13b's: "
        + ", ".join(f"{count:,} {name}" for name, count in removed.items())
        + ". What the removal costs, in characters per token of training text: "
        + ", ".join(f"{d} {v['before_removal']:.3f} → {v['after']:.3f}" for d, v in before.items())
        + f".\n\n{checked}",
    )


def round_trips(made: Path, options: argparse.Namespace) -> str:
    """Says that every token is reachable and that all held-out text comes back; fails where that is not so."""
    tokenizer = load_tokenizer(made).tokenizer
    bpe = tokenizer.backend_tokenizer
    tokens = [token for token in bpe.get_vocab() if token not in FIRST_TOKENS]
    assert not unreachable(bpe, tokens)
    assert not unsuitable_tokens(bpe, token_classes())
    documents = characters = 0
    for document in read_documents(parse_sources(options.corpus)):
        if is_held_out(document, float(HELD_OUT)):
            data = document.text.encode()
            assert tokenizer.decode(ids_of_text(tokenizer, document.text)) == document.text
            assert bytes_of_ids(tokenizer, ids_of_bytes(tokenizer, data[1:])) == data[1:]
            documents, characters = documents + 1, characters + len(document.text)
    return (
        f"Checked: each of the {len(tokens):,} tokens is what its own text is encoded to; {documents:,} held-out "
        "documents "
        f"({characters:,} characters) come back exactly, as text and, with their first byte cut off, as bytes."
    )


def manuals(folder: Path) -> list[str]:
    """The text of roff pages: no comments, no macros but their arguments, no fonts."""
    texts = []
    for path in sorted(folder.rglob("man*/*.gz")):
        roff = gzip.decompress(path.read_bytes()).decode("utf-8", errors="replace")
        lines = []
        for line in roff.splitlines():
            if re.match(r"['.]\s*\\\"|\\\"", line):
                continue
            line = re.sub(r"^\.(SH|SS|B|I|BR|IR|BI|IB|RB|RI|SM|TP|IP)\b ?", "", line)
            if line.startswith((".", "'")):
                continue
            line = re.sub(r"\\f[BIRP]|\\f\(\w\w|\\[&|^/,c%]|\\s[-+]?\d", "", line)
            lines.append(re.sub(r"\\-", "-", re.sub(r"\\(?:\(\w\w|\[\w+\]|\*\(?\w+|[ ~])", " ", line)))
        texts.append("\n".join(lines))
    return texts


def encoding(made: Path, options: argparse.Namespace) -> None:
    """Megabytes a second, of one text after another on one thread, and of a batch on all."""
    documents = sample_by_hash(read_documents(parse_sources(options.corpus)), 3_000_000)
    texts = {d: [x.text for x in documents if x.domain == d] for d in ("ja", "en", "code")}
    sizes = {d: sum(len(text.encode()) for text in found) / 1e6 for d, found in texts.items()}
    peers = [Peer("nec13b", load_tokenizer(made).tokenizer.backend_tokenizer), *load_peers(options.peers)]
    rows = []
    for peer in peers:
        row = [f"{peer.name} ({peer.backend.get_vocab_size():,})"]
        for domain, found in texts.items():
            one = _seconds(partial(_one_by_one, peer.backend, found))
            many = _seconds(partial(peer.backend.encode_batch_fast, found, add_special_tokens=False))
            row += [f"{sizes[domain] / one:.1f}", f"{sizes[domain] / many:.1f}"]
        rows.append(row)
        print(row, flush=True)
    head = ["tokenizer"] + [f"{domain}, {way}" for domain in texts for way in ("one thread", "batch")]
    write_section(
        "Tokenizer: encoding",
        f"`python benchmarks/tokenizer_comparison.py ...` on {machine()}. MB/s of UTF-8, best of 3; all by the "
        f"tokenizers library; {', '.join(f'{size:.1f} MB {domain}' for domain, size in sizes.items())}.\n\n"
        + table(head, rows),
    )


def _one_by_one(tokenizer: Tokenizer, texts: list[str]) -> None:
    for text in texts:
        tokenizer.encode(text, add_special_tokens=False)


def _seconds(call: Callable[[], object], repeats: int = 3) -> float:
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


SENTENCEPIECE = """
import sys, sentencepiece
sentencepiece.SentencePieceTrainer.train(
    input=sys.argv[1], model_prefix=sys.argv[2], vocab_size=int(sys.argv[3]), model_type="bpe", byte_fallback=True,
    character_coverage=0.9999, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
    max_sentence_length=100000, num_threads=2, minloglevel=2)
"""
RUSTBPE = """
import sys, rustbpe
tokenizer = rustbpe.Tokenizer()
tokenizer.train_from_iterator(iter(open(sys.argv[1], encoding="utf-8")), int(sys.argv[3]))
open(sys.argv[2], "w").write(str(len(tokenizer.get_mergeable_ranks())))
"""


def training(folder: Path, options: argparse.Namespace) -> None:
    """Seconds and memory of training on the same lines."""
    budget = options.training_megabytes * 1_000_000
    text, jsonl, size = folder / "text.txt", folder / "corpus" / "text.jsonl", 0
    jsonl.parent.mkdir()
    with text.open("w", encoding="utf-8") as plain, jsonl.open("w", encoding="utf-8") as rows:
        documents = sample_by_hash(read_documents(parse_sources(options.corpus)), budget // 2)
        for document in sorted(documents, key=lambda document: hash_of(document.text)):
            size += len(document.text.encode())
            plain.write(document.text.rstrip("\n") + "\n")
            rows.write(json.dumps({"text": document.text, "lang": document.domain}, ensure_ascii=False) + "\n")
            if size > budget:
                break
    size = text.stat().st_size / 1e6
    own = argparse.Namespace(corpus=[str(jsonl.parent)], vocab_size=options.vocab_size)
    arguments = [str(text), str(folder / "other"), str(options.vocab_size)]
    commands = {
        "nec13b (drawing, counting, merging, removal)": recipe(own, folder / "own", "--held_out_fraction", "0"),
        "sentencepiece BPE, 2 threads": [sys.executable, "-c", SENTENCEPIECE, *arguments],
        "rustbpe, GPT-4's pattern": [sys.executable, "-c", RUSTBPE, *arguments],
    }
    measured = {}
    for name, command in commands.items():
        start = time.perf_counter()
        together, _ = peaks_of(command)
        measured[name] = (time.perf_counter() - start, together)
        print(name, measured[name], flush=True)
    first = measured[next(iter(commands))]
    steps = json.loads((folder / "own" / "run.json").read_text())["timings_seconds"]
    rows = [[name, f"{seconds:.0f}", f"{size / seconds:.2f}", f"{memory / 2**20:,.0f}", f"{seconds / first[0]:.2f}",
             f"{memory / first[1]:.2f}"] for name, (seconds, memory) in measured.items()]  # fmt: skip
    head = ["trainer", "seconds", "MB/s", "peak of all processes, MiB", "time, nec13b = 1", "memory, nec13b = 1"]
    write_section(
        "Tokenizer: training",
        f"`python benchmarks/tokenizer_comparison.py ...` on {machine()}. The same {size:.0f} MB of Japanese, "
        "English and "
        f"code to a vocabulary of {options.vocab_size:,}, each in a process of its own from its start to its "
        f"end.\n\n{table(head, rows)}"
        f"\n\nOf nec13b's seconds {steps['first_reading'] + steps['counting']:.0f} are reading and counting, "
        f"{steps['merging']:.0f} merging (by the tokenizers library), {steps['removal']:.0f} the rounds of "
        "removal, which the "
        "others do not have, and the rest imports. All three keep kanji and kana in one run; rustbpe starts from "
        "bytes.",
    )


if __name__ == "__main__":
    main()
