"""The report of a tokenizer, JSON and page: how it compresses beside others, what is in it, what was removed."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import regex

from .. import html_page
from ..corpus import Document, parse_sources, parts_of
from ..errors import InputError
from ..run_record import RECORD_NAME, read_json, write_json
from .bpe import BYTE_TOKENS
from .corpus_tokenizer import REMOVED_NAME
from .drawing import Reader, sample_by_hash
from .peers import Peer
from .pre_tokens import JAPANESE
from .settings import TrainTokenizerConfig
from .special_tokens import SPECIAL_TOKENS
from .storage import MADE_BY, TokenizerHandle
from .unsuitable import TokenClass, token_classes

FORMAT = "nec13b-tokenizer-report-1"
CHARACTERS = 3_000_000  # of held-out text of each domain that are measured
EXAMPLES, LONGEST = 60, 24
HIDDEN_SIZE = 5120  # of the 13B model, whose embeddings are counted
SPACED_WORD = regex.compile(rf"[\p{{L}}\p{{M}}&&[^{JAPANESE}]]+", regex.V1)
JAPANESE_RUN = regex.compile(rf"[{JAPANESE}]+", regex.V1)
SCRIPTS = (
    ("kanji", regex.compile(r"[\p{Han}〆]+")),
    ("hiragana", regex.compile(r"[\p{Hiragana}ー]+")),
    ("katakana", regex.compile(r"[\p{Katakana}ー]+")),
    ("kanji and kana", JAPANESE_RUN),
    ("Latin letters", regex.compile(r"[ _.']?[\p{Latin}\p{M}]+")),
    ("other letters", regex.compile(r"[ _.']?[\p{L}\p{M}]+")),
    ("digits", regex.compile(r"\p{N}+")),
    ("spaces and line ends", regex.compile(r"\s+")),
    ("marks", regex.compile(r"[\s\S]+")),
)


def script_of(token: str) -> str:
    """Which of SCRIPTS a token is written in."""
    return next(name for name, pattern in SCRIPTS if pattern.fullmatch(token))


def write_report(output: Path, config: TrainTokenizerConfig, handle: TokenizerHandle, peers: list[Peer]) -> Path:
    """Measures a tokenizer and writes `report.json` and `report.html` beside it.

    Args:
        output: the folder of the tokenizer.
        config: the settings it was made with; they name the corpus, whose held-out documents are measured.
        handle: it.
        peers: tokenizers to compare with.

    Returns:
        The path of the page.

    Raises:
        InputError: the corpus cannot be read, or the folder lacks the list of removed tokens.
    """
    documents, held_out = _documents(config)
    own = Peer("nec13b", handle.tokenizer.backend_tokenizer)
    classes = token_classes(config.word_lists)
    tokenizers = [_measured(peer, documents, classes) for peer in (own, *peers)]
    own.backend.encode_special_tokens = False
    record = read_json(output / RECORD_NAME, MADE_BY)
    tokens = [t for t in handle.tokenizer.get_vocab() if t not in {*SPECIAL_TOKENS, *BYTE_TOKENS}]
    report = {
        "format": FORMAT,
        "tokenizer": handle.fingerprint,
        "held_out": held_out,
        "domains": _sizes(documents, lambda document: document.domain),
        "sources": _sizes(documents, lambda document: f"{document.domain}/{document.source}"),
        "tokenizers": tokenizers,
        "training": {
            "characters": record["inputs"].get("characters", {}),
            "characters_per_token": record["metrics"].get("characters_per_token", {}),
            **{name: record["counts"].get(name) for name in ("removed", "steps", "rounds", "pre_tokens")},
        },
        "scripts": _scripts(tokens),
        "removed": _removed(output / REMOVED_NAME, classes),
    }
    write_json(output / "report.json", report)
    _write_page(output / "report.html", report)
    return output / "report.html"


def _documents(config: TrainTokenizerConfig) -> tuple[list[Document], bool]:
    """A sample of held-out documents, or of training documents where none is held out; and which of both it is."""
    parts = parts_of(parse_sources(config.corpus))
    reader = Reader(config.held_out_fraction, config.max_document_characters)
    for held_out in (True, False):
        documents = (document for part in parts for document in reader.documents(part, held_out))
        if drawn := sample_by_hash(documents, CHARACTERS):
            return drawn, held_out
    raise InputError("the corpus holds no document to measure the tokenizer on")


def _sizes(documents: Iterable[Document], name) -> dict[str, dict[str, int]]:
    sizes: dict[str, dict[str, int]] = {}
    for document in documents:
        size = sizes.setdefault(name(document), {"documents": 0, "characters": 0, "bytes": 0})
        size["documents"] += 1
        size["characters"] += len(document.text)
        size["bytes"] += len(document.text.encode())
    return dict(sorted(sizes.items()))


def _measured(peer: Peer, documents: list[Document], classes: list[TokenClass]) -> dict:
    """One tokenizer on all documents: tokens by source and domain, tokens per word, and unsuitable tokens in it."""
    lengths = peer.lengths([document.text for document in documents])
    by_source, by_domain = Counter(), Counter()
    for document, length in zip(documents, lengths):
        by_source[f"{document.domain}/{document.source}"] += length
        by_domain[document.domain] += length
    unsuitable: Counter[str] = Counter()
    for token in peer.token_texts():
        for each in classes:
            if each.holds is not None and each.holds(token):
                unsuitable[each.name] += 1
                break
    size = peer.backend.get_vocab_size()
    return {
        "name": peer.name,
        "vocab_size": size,
        "embedding_parameters": 2 * HIDDEN_SIZE * -(-size // 128) * 128,
        "tokens": {"sources": dict(by_source), "domains": dict(by_domain)},
        "fertility": _fertility(peer, documents),
        "unsuitable": dict(unsuitable),
    }


def _fertility(peer: Peer, documents: list[Document]) -> dict[str, float]:
    """Tokens of a word as it stands in text, by domain: of a run of letters with the space before it; of a run of kanji
    and kana in Japanese, which has no spaces."""
    words: dict[str, Counter[str]] = {}
    for document in documents:
        japanese = document.domain == "ja"
        found = (JAPANESE_RUN if japanese else SPACED_WORD).findall(document.text)
        words.setdefault(document.domain, Counter()).update(found if japanese else (" " + word for word in found))
    fertility = {}
    for domain, counts in sorted(words.items()):
        lengths = peer.lengths(list(counts))
        total = sum(length * count for length, count in zip(lengths, counts.values()))
        fertility[domain] = round(total / max(1, counts.total()), 4)
    return fertility


def _scripts(tokens: list[str]) -> list[dict]:
    by_script: dict[str, list[str]] = {name: [] for name, _ in SCRIPTS}
    for token in tokens:
        by_script[script_of(token)].append(token)
    return [
        {
            "script": name,
            "tokens": len(members),
            "characters": sum(len(token) == 1 for token in members),
            "mean_length": round(sum(map(len, members)) / len(members), 2) if members else 0,
            "longest": sorted(members, key=lambda token: (-len(token), token))[:LONGEST],
        }
        for name, members in by_script.items()
    ]


def _removed(path: Path, classes: list[TokenClass]) -> list[dict]:
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); make it again with {MADE_BY}") from None
    by_class: dict[str, list[dict]] = {}
    for row in rows:
        by_class.setdefault(row["class"], []).append(row)
    return [
        {
            "class": each.name,
            "description": each.description,
            "tokens": len(found),
            "examples": [row["token"] for row in found[:EXAMPLES]],
        }
        for each in classes
        if (found := by_class.get(each.name, [])) or each.holds is not None
    ]


def _write_page(path: Path, report: dict) -> None:
    template = Path(__file__).with_name("report_page.html.j2")
    html_page.write_page(path, template, {"report": report, "best": _best(report)}, visible=visible)


def _best(report: dict) -> dict[str, int]:
    """The fewest tokens that any tokenizer needs, by source."""
    return {source: min(t["tokens"]["sources"][source] for t in report["tokenizers"]) for source in report["sources"]}


def visible(token: str) -> str:
    """A token with its spaces, tabulators, line ends and characters without a picture made visible."""
    shown = token.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥").replace("\u3000", "□")
    return "".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in shown)
