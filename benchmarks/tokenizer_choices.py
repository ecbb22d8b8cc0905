"""What was chosen for the tokenizer, by measurement: cuts, digits, superwords, normalisation, vocabulary size.

python benchmarks/tokenizer_choices.py --corpus sample/*.jsonl.gz

Each way is trained on the same training documents (and Python's standard library) at the project's proportions, without
removal of unsuitable tokens, and measured on the held-out documents. Writes a section of RESULTS.md.
"""

import argparse
import unicodedata
from collections import Counter
from dataclasses import dataclass

import regex
from results import machine, table, write_section
from tokenizers import Tokenizer, models

from nec13b.corpus import is_held_out, parse_sources, read_documents
from nec13b.corpus.mixture import DEFAULT_PROPORTIONS
from nec13b.tokenization.bpe import BYTE_TOKENS, FIRST_TOKENS, PLAIN_BYTES, rank_tokens, splits
from nec13b.tokenization.corpus_tokenizer import choose_alphabet
from nec13b.tokenization.pre_tokens import JAPANESE, PATTERN

HELD_OUT = 0.05
VOCABULARY = 50_176
SIZES = (32_000, 50_176, 65_536, 100_352)
HIDDEN, BODY = 5120, 12_688_184_320  # of the 13B model: width, and parameters beside the embeddings
CHOSEN = f"[{JAPANESE}]+"
HAN, HIRAGANA, KATAKANA = r"[\p{Han}〆]+", r"\p{Hiragana}[\p{Hiragana}ー]*", r"[\p{Katakana}ー]+"
WORD = rf"[ _.]?[\p{{L}}\p{{M}}&&[^{JAPANESE}]]+"


@dataclass(frozen=True)
class Way:
    """One way of cutting text.

    Attributes:
        name: for the table.
        pattern: of pre-tokens.
        stage_1: the pattern of a first stage, if there are two: three quarters of the tokens come of it.
    """

    name: str
    pattern: str
    stage_1: str = ""


def ways() -> list[Way]:
    two_words = PATTERN.replace(WORD, WORD + WORD.replace("[ _.]?", "(?: ", 1) + "){0,7}")
    by_script = PATTERN.replace(CHOSEN, "|".join([HAN, HIRAGANA, KATAKANA]))
    return [
        Way("**longest phrase** (chosen)", PATTERN),
        Way("cut at every change of script", by_script),
        Way("kanji with okurigana", PATTERN.replace(CHOSEN, rf"{HAN}\p{{Hiragana}}*|{HIRAGANA}|{KATAKANA}")),
        Way("kanji or katakana with kana endings",
            PATTERN.replace(CHOSEN, rf"(?:{HAN}|{KATAKANA})\p{{Hiragana}}*|{HIRAGANA}")),
        Way("script first, phrases in a second stage", PATTERN, by_script),
        Way("digits in threes", PATTERN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")),
        Way("any mark before a word, as GPT-4", PATTERN.replace("[ _.]?", r"[^\r\n\p{L}\p{N}]?")),
        Way("only a space before a word, as GPT-2", PATTERN.replace("[ _.]?", " ?")),
        Way("superwords of up to 8 words, second stage", two_words, PATTERN),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", nargs="+", default=["sample"])
    options = parser.parse_args()
    if not any(entry.split(",")[0] == "sample" for entry in options.corpus):  # which holds the library already
        options.corpus.append("sample,domain=code,label=standard_library")
    train: dict[str, list[str]] = {}
    test: dict[str, list[str]] = {}
    for document in read_documents(parse_sources(options.corpus)):
        if is_held_out(document, HELD_OUT):
            test.setdefault(f"{document.domain} {document.source.removeprefix(document.domain + '_')}", []).append(
                document.text
            )
        else:
            train.setdefault(document.domain, []).append(document.text)
    names = sorted(test, key=lambda name: (["ja", "en", "code"].index(name.split()[0]), name))
    rows = []
    for way in ways():
        words = counts(train, way.pattern)
        tokens = two_stages(train, words, way) if way.stage_1 else trained(words, VOCABULARY)
        measured = measure(tokens, way.pattern, test)
        rows.append([way.name, f"{len(words):,}",
                     *(f"{measured[name]:.3f}" for name in names)])  # fmt: skip
        print(rows[-1], flush=True)
    composed = {domain: [unicodedata.normalize("NFKC", text) for text in texts] for domain, texts in train.items()}
    tokens = trained(counts(composed, PATTERN), VOCABULARY)
    folded = {name: [unicodedata.normalize("NFKC", text) for text in texts] for name, texts in test.items()}
    # Characters are those of the text as it came, so that the figures can be compared.
    measured = measure(tokens, PATTERN, folded, test)
    rows.append(["NFKC before everything", "", *(f"{measured[name]:.3f}" for name in names)])
    print(rows[-1], flush=True)

    words = counts(train, PATTERN)
    largest = trained(words, max(SIZES))
    size_rows = []
    for size in SIZES:
        measured = measure(largest[: size - len(FIRST_TOKENS)], PATTERN, test)
        per_domain = {d: [measured[n] for n in names if n.split()[0] == d] for d in DEFAULT_PROPORTIONS}
        mean = {domain: sum(values) / len(values) for domain, values in per_domain.items()}
        tokens_per_character = sum(share / mean[domain] for domain, share in DEFAULT_PROPORTIONS.items())
        flops = 6 * (BODY + size * HIDDEN) * tokens_per_character
        size_rows.append([f"{size:,}", *(f"{mean[domain]:.3f}" for domain in DEFAULT_PROPORTIONS),
                          f"{2 * size * HIDDEN / 1e6:,.0f} M", f"{2 * size * HIDDEN / (BODY + 2 * size * HIDDEN):.1%}",
                          f"{flops / 1e9:.1f}"])  # fmt: skip
        print(size_rows[-1], flush=True)
    head = ["way", "different pre-tokens", *names]
    size_head = [
        "vocabulary",
        *DEFAULT_PROPORTIONS,
        "embedding parameters at 13B",
        "of the model",
        "GFLOPs a character",
    ]
    write_section(
        "Tokenizer: what was chosen",
        f"`python benchmarks/tokenizer_choices.py ...` on {machine()}. Characters per token of held-out text at a "
        f"vocabulary of {VOCABULARY:,}, without removal.\n\n{table(head, rows)}\n\nBy size of the vocabulary; "
        "domains are "
        "means over their sources, training costs 6 FLOPs a parameter and token (input embeddings cost none), "
        "characters in the "
        f"project's proportions:\n\n{table(size_head, size_rows)}",
    )


def counts(texts: dict[str, list[str]], pattern: str) -> dict[str, int]:
    """Pre-tokens with their counts, domains weighted as in training."""
    compiled = regex.compile(pattern, regex.V1)
    found: dict[str, Counter[str]] = {}
    for domain, members in texts.items():
        found[domain] = Counter()
        for text in members:
            found[domain].update(compiled.findall(text))
    characters = {domain: sum(len(word) * count for word, count in own.items()) for domain, own in found.items()}
    most = max(characters[domain] / DEFAULT_PROPORTIONS[domain] for domain in found)
    words: Counter[str] = Counter()
    for domain, own in found.items():
        for word, count in own.items():
            words[word] += count * most * DEFAULT_PROPORTIONS[domain] / characters[domain]
    return {word: round(count) for word, count in sorted(words.items())}


def trained(words: dict[str, int], size: int) -> list[str]:
    return rank_tokens(words, size - len(FIRST_TOKENS), choose_alphabet(words, 0.9999, size))


def two_stages(train: dict[str, list[str]], words: dict[str, int], way: Way) -> list[str]:
    """Tokens of which the last quarter is merged from the first ones across the borders of the first stage.

    The second stage is BPE over tokens: each is written as one character of planes 1 and up while it trains.
    """
    first = trained(counts(train, way.stage_1), VOCABULARY)[: VOCABULARY * 3 // 4 - len(FIRST_TOKENS)]
    bpe = without_cuts(first)
    compiled = regex.compile(way.stage_1, regex.V1)
    pieces = {piece for word in words for piece in compiled.findall(word)}
    ids = dict(zip(pieces, (e.ids for e in bpe.encode_batch_fast(list(pieces), add_special_tokens=False))))
    sequences: Counter[str] = Counter()
    for word, count in words.items():
        numbers = [number for piece in compiled.findall(word) for number in ids[piece]]
        sequences["".join(chr(0x10000 + number) for number in numbers)] += count
    letters = [chr(0x10000 + number) for number in range(bpe.get_vocab_size())]
    merged = rank_tokens(sequences, len(letters) + VOCABULARY, letters, 16)[len(letters) :]
    names = [bpe.id_to_token(number) for number in range(bpe.get_vocab_size())]
    second = ("".join(names[ord(letter) - 0x10000] for letter in token) for token in merged)
    return list(dict.fromkeys([*first, *second]))[: VOCABULARY - len(FIRST_TOKENS)]


def without_cuts(tokens: list[str]) -> Tokenizer:
    """The tokenizer of pre-tokens."""
    parts = {BYTE_TOKENS[byte] for byte in PLAIN_BYTES}.union(tokens)
    vocabulary = {token: number for number, token in enumerate([*FIRST_TOKENS, *tokens])}
    merges = [pair for token in tokens for pair in splits(token, parts)]
    return Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True))


def measure(
    tokens: list[str], pattern: str, test: dict[str, list[str]], original: dict[str, list[str]] | None = None
) -> dict[str, float]:
    """Characters per token, by source."""
    bpe, compiled = without_cuts(tokens), regex.compile(pattern, regex.V1)
    measured = {}
    for name, texts in test.items():
        words: Counter[str] = Counter()
        for text in texts:
            words.update(compiled.findall(text))
        encoded = bpe.encode_batch_fast(list(words), add_special_tokens=False)
        used = sum(len(encoding.ids) * count for encoding, count in zip(encoded, words.values()))
        measured[name] = sum(map(len, (original or test)[name])) / used
    return measured


if __name__ == "__main__":
    main()
