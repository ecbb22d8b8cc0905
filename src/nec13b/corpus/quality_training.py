"""Training the learned filter: clean and dirty examples, whole sources held out, one thread, repeatable."""

import dataclasses
import fnmatch
import hashlib
import heapq
import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from .dirtying import KINDS, dirtied_documents
from .documents import Document, Rejections
from .normalisation import normalise
from .quality import CLEAN, DIRTY, LABEL, tokens_of, windows_of
from .reading import read_documents
from .settings import CorpusSettings
from .sources import parse_sources

MOST_EVALUATED = 1_000  # held-out documents of each kind of dirtied text
SLACK = 1.2  # a source is held out whole, so the share held out can only be met roughly
REPEAT = 10  # how often a rare kind or source is repeated, at most, so that it counts like the others
# fastText fills its matrix by ten threads, a tenth each, and where there are fewer leaves the rest as memory comes.
# Fresh memory is zero; so each training has a process of its own, in which large blocks are always fresh (a setting of
# glibc).
FRESH_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "131072"}
TRAINER = """
import json, sys, fasttext
fasttext.train_supervised(verbose=0, thread=1, **json.loads(sys.argv[2])).save_model(sys.argv[1])
"""


@dataclass
class TrainQualityConfig(CorpusSettings):
    """Trains the classifier of clean against dirty text (section 3 of the paper)."""

    corpus: list[str] = field(
        default_factory=lambda: ["sample"],
        metadata={"help": "Clean text, from as many sources as you have: files, folders, hub: data sets, sample."},
    )
    dirty: list[str] = field(
        default_factory=list,
        metadata={"help": "Dirty text, likewise; the field `kind` of a row says which sort it is."},
    )
    dirtied_kinds: list[str] = field(
        default_factory=lambda: list(KINDS),
        metadata={"help": f"How clean text is made dirty for more examples: {', '.join(KINDS)}."},
    )
    output_dir: str = field(default="runs/quality", metadata={"help": "Folder for the classifier and its record."})
    domain: str = field(default="ja", metadata={"help": "Documents of this domain are used, others passed over."})
    max_documents: int = field(
        default=50_000, metadata={"help": "Most clean, most dirty and most dirtied documents, drawn by hash."}
    )
    held_out_sources: list[str] = field(
        default_factory=list,
        metadata={"help": "Sources kept for evaluation, as LABEL/SITE with * and ?. Default: drawn by hash."},
    )
    held_out_fraction: float = field(
        default=0.25, metadata={"help": "Share of the documents kept for evaluation where no source is named."}
    )
    wanted_precision: float = field(
        default=0.99, metadata={"help": "Share of clean text among what is kept; the threshold follows from it."}
    )
    expected_dirty_share: float = field(
        default=0.5, metadata={"help": "Share of dirty documents, 0 to 1, among those that the rules let through."}
    )
    leave_kinds_out: bool = field(
        default=False, metadata={"help": "Also train without each kind of dirt, and say how well it is found unseen."}
    )
    rules: str | None = field(
        default=None, metadata={"help": "Rules that come before the classifier (YAML). Default: the project's own."}
    )
    epochs: int = field(default=15, metadata={"help": "Passes over the examples."})
    learning_rate: float = field(default=0.2, metadata={"help": "fastText's learning rate."})
    dimension: int = field(default=16, metadata={"help": "Length of the vector of a token."})
    ngrams: int = field(default=3, metadata={"help": "Longest n-grams of tokens."})
    buckets: int = field(default=200_000, metadata={"help": "Hash buckets of the n-grams."})
    seed: int = field(default=0, metadata={"help": "Decides what is dirtied how, and the order of the examples."})
    overwrite_output_dir: bool = field(default=False, metadata={"help": "Replace the classifier in output_dir."})

    def __post_init__(self):
        self.check_corpus_settings()
        for name in self.dirtied_kinds:
            if name not in KINDS:
                raise InputError(f"dirtied_kinds: unknown kind {name!r}; known are {', '.join(KINDS)}")
        for name in ("held_out_fraction", "wanted_precision", "expected_dirty_share"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        if not self.dirtied_kinds and not self.dirty:
            raise InputError("there is no dirty text: name some with --dirty, or leave dirtied_kinds as it is")

    @property
    def keep_words(self) -> bool:
        """Whether words in Latin letters are told apart; in Japanese they would only give away the subject."""
        return self.domain != "ja"


@dataclass(frozen=True, slots=True)
class Example:
    """One document to learn from or to be tested on.

    Attributes:
        text: the normalised text.
        kind: `clean`, or the sort of dirt.
        source: `label/site` of the document, or of the clean document it was made of.
        held_out: whether it is for evaluation.
    """

    text: str
    kind: str
    source: str
    held_out: bool


def collect_examples(config: TrainQualityConfig, rejections: Rejections | None = None) -> list[Example]:
    """Reads clean and dirty text, makes dirty text of the clean, and draws what is held out.

    Whole sources are held out where a kind of text has several; the documents of a single source are divided by hash.
    Text that was made dirty is held out with the clean text it was made of.

    Raises:
        InputError: there is no text of the domain, or a held-out source does not occur.
    """
    clean = _drawn(config, config.corpus, rejections)
    if not clean:
        raise InputError(f"the corpus holds no document of domain {config.domain!r}; --domain chooses another")
    by_kind: dict[str, list[Document]] = {CLEAN: clean}
    for document in _drawn(config, config.dirty, rejections) if config.dirty else []:
        by_kind.setdefault(document.kind if document.kind not in ("", CLEAN) else "unnamed", []).append(document)
    sources = {source_of(document) for members in by_kind.values() for document in members}
    for pattern in config.held_out_sources:
        if not fnmatch.filter(sources, pattern):
            raise InputError(f"held_out_sources: {pattern!r} fits none of the sources: {', '.join(sorted(sources))}")

    examples = []
    for kind, members in by_kind.items():
        held_out = _held_out(members, config)
        examples += (Example(d.text, kind, source_of(d), held) for d, held in zip(members, held_out))
    most = -(-config.max_documents // max(1, len(config.dirtied_kinds)))
    for held, limit in ((False, most), (True, min(most, MOST_EVALUATED))):
        chosen = [document for document, flag in zip(clean, _held_out(clean, config)) if flag == held]
        chosen = heapq.nsmallest(limit, chosen, key=lambda document: _hash("dirtied", document.id or document.text))
        for kind, document, text in dirtied_documents(chosen, config.dirtied_kinds, config.seed):
            examples.append(Example(normalise(text), kind, source_of(document), held))
    return examples


def source_of(document: Document) -> str:
    """`label/site`, the unit that is held out."""
    return "/".join(part for part in (document.source, document.site) if part)


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.sha1("\0".join(parts).encode()).digest()[:8], "big")


def _drawn(config: TrainQualityConfig, entries: list[str], rejections: Rejections | None) -> list[Document]:
    """The documents of the domain, normalised; at most max_documents of them, by hash."""

    def normalised() -> Iterator[Document]:
        for document in read_documents(parse_sources(entries), rejections, config.max_document_characters):
            if document.domain == config.domain and (text := normalise(document.text)).strip():
                yield dataclasses.replace(document, text=text)

    return heapq.nsmallest(config.max_documents, normalised(), key=lambda document: _hash(document.id, document.text))


def _held_out(documents: list[Document], config: TrainQualityConfig) -> list[bool]:
    """Which of the documents of one kind are for evaluation; never all of them, and never none where there are two."""
    counts: dict[str, int] = defaultdict(int)
    for document in documents:
        counts[source_of(document)] += 1
    named = {source for source in counts if any(fnmatch.fnmatch(source, p) for p in config.held_out_sources)}
    if named and named != set(counts):
        return [source_of(document) in named for document in documents]
    if len(counts) > 1 and not named:
        taken = _sources_to_hold_out(counts, config.held_out_fraction)
        return [source_of(document) in taken for document in documents]
    order = sorted(range(len(documents)), key=lambda i: _hash("held out", documents[i].id, documents[i].text))
    chosen = set(order[: round(config.held_out_fraction * len(documents)) or (len(documents) > 1)])
    return [i in chosen for i in range(len(documents))]


def _sources_to_hold_out(counts: dict[str, int], fraction: float) -> set[str]:
    """About that fraction of the documents, by whole sources drawn by hash, at most half of the sources.

    Each corpus entry with several sites gives its part, so that its style stays known; so do, taken together, the
    entries of one site each.
    """
    strata: dict[str, list[str]] = defaultdict(list)
    for source in counts:
        strata[source.split("/")[0]].append(source)
    single = [members.pop() for members in strata.values() if len(members) == 1]
    taken: set[str] = set()
    for members in [*strata.values(), single]:
        wanted = SLACK * fraction * sum(counts[source] for source in members)
        chosen: list[str] = []
        for source in sorted(members, key=lambda source: _hash("held out", source)):
            if len(chosen) < len(members) // 2 and sum(counts[name] for name in chosen) + counts[source] <= wanted:
                chosen.append(source)
        taken.update(chosen)
    return taken or {min(counts, key=lambda source: (counts[source], source))}


def train_classifier(examples: Iterable[Example], config: TrainQualityConfig, path: Path, without: str = "") -> None:
    """Trains a fastText model on the examples that are not held out; the same examples give the same bytes.

    Clean and dirty windows are as many; among the dirty ones every kind counts alike, among the clean ones every
    source, as far as repeating up to ten times can bring that about.

    Args:
        examples: from `collect_examples`.
        config: the settings.
        path: where the model goes.
        without: a kind to leave out.

    Raises:
        InputError: there is nothing left to learn clean from dirty.
    """
    groups: dict[str, dict[str, list[str]]] = {CLEAN: defaultdict(list), DIRTY: defaultdict(list)}
    for example in examples:
        if not example.held_out and example.kind != without:
            is_clean = example.kind == CLEAN
            group = groups[CLEAN if is_clean else DIRTY][example.source if is_clean else example.kind]
            group += windows_of(example.text)
    if not groups[CLEAN] or not groups[DIRTY]:
        raise InputError("after holding out there is no clean, or no dirty, text left to learn from; add text")
    rng = random.Random(config.seed)
    total = sum(map(len, groups[CLEAN].values()))
    rows = []
    for label, members in groups.items():
        wanted = total // len(members)
        for name in sorted(members):
            windows = members[name]
            rng.shuffle(windows)
            size = max(1, min(wanted, REPEAT * len(windows)))
            repeated = (windows[i % len(windows)] for i in range(size))
            rows += (f"{LABEL}{label} {tokens_of(window, config.keep_words)}" for window in repeated)
    rng.shuffle(rows)
    settings = {
        "input": str(path.with_name(f".{path.name}.txt")),
        "epoch": config.epochs, "lr": config.learning_rate, "dim": config.dimension, "wordNgrams": config.ngrams,
        "bucket": config.buckets, "minCount": 2, "seed": config.seed,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    Path(settings["input"]).write_text("\n".join(rows) + "\n", encoding="utf-8")
    try:
        subprocess.run(
            [sys.executable, "-c", TRAINER, str(path), json.dumps(settings)],
            env={**os.environ, **FRESH_MEMORY}, check=True, capture_output=True, text=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"fastText could not be trained ({said}); a lower learning_rate may help") from None
    finally:
        Path(settings["input"]).unlink(missing_ok=True)
