"""From a corpus to a saved tokenizer: draw documents, count pre-tokens, train, remove what is unsuitable, save."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from ..corpus import Document, parse_sources, parts_of
from ..corpus.mixture import mixture_of_corpus, resolve_proportions
from ..errors import InputError
from ..whole_files import write_json_lines
from .bpe import BYTE_TOKENS, FIRST_TOKENS, PLAIN_BYTES, assemble, check_vocab_size, finished, rank_tokens
from .drawing import Reader, survey_corpus
from .pre_token_counts import PreTokenCounts, count_pre_tokens
from .pre_tokens import pre_tokens
from .removal import Vocabulary, remove_unsuitable
from .settings import TrainTokenizerConfig
from .storage import TokenizerHandle, save_tokenizer
from .unsuitable import is_control, wanted_classes
from .usage import DocumentSample

REMOVED_NAME = "removed_tokens.jsonl"
MOST_CHARACTER_TOKENS = 0.5  # share of the vocabulary that single characters may take


@dataclass(frozen=True)
class MadeTokenizer:
    """A tokenizer and what came of its making.

    Attributes:
        handle: the tokenizer, loaded from where it was saved.
        vocabulary: its tokens, and those that were removed.
        counts: what it was trained on.
        proportions: share of each domain in the characters of training.
        rejected: rows that were set aside, by reason.
        seconds: that each step took.
    """

    handle: TokenizerHandle
    vocabulary: Vocabulary
    counts: PreTokenCounts
    proportions: dict[str, float]
    rejected: dict[str, int]
    seconds: dict[str, float]

    def removed_by_class(self) -> dict[str, int]:
        """How many tokens of each class were removed, the commonest first."""
        return dict(Counter(removed.name for removed in self.vocabulary.removed).most_common())

    def characters_per_token(self) -> dict[str, dict[str, float]]:
        """Of each domain of the sample of training text: without the removal, and with it."""
        named = {"before_removal": self.vocabulary.before, "after": self.vocabulary.after}
        return {
            domain: {name: round(usage.characters[domain] / usage.tokens[domain], 4) for name, usage in named.items()}
            for domain in sorted(self.vocabulary.after.characters)
        }

    def summary(self) -> str:
        """What came out, for people."""
        lines = []
        if self.rejected:
            lines.append("set aside: " + ", ".join(f"{count:,} × {reason}" for reason, count in self.rejected.items()))
        removed = ", ".join(f"{count:,} {name}" for name, count in self.removed_by_class().items())
        lines.append(f"removed as unsuitable: {removed or 'nothing'} (see {REMOVED_NAME})")
        measured = ", ".join(
            f"{domain} {values['after']:.2f}" for domain, values in self.characters_per_token().items()
        )
        lines.append(f"characters per token on a sample of the training text: {measured}")
        if self.counts.dropped_share:
            lines.append(f"pre-tokens too rare to be held: {self.counts.dropped_share:.2%} of the characters")
        return "\n".join(lines)


def make_tokenizer(config: TrainTokenizerConfig, folder: Path) -> MadeTokenizer:
    """Trains a tokenizer on the training part of a corpus and saves it in `folder`, with a list of removed tokens.

    Raises:
        InputError: the corpus cannot be read, holds no training text, or is too small for the vocabulary; it spells out
            special tokens; or the proportions name a domain that it lacks.
    """
    classes = wanted_classes(config.keep_classes, config.word_lists)
    sources = parse_sources(config.corpus)
    parts = parts_of(sources)
    mixture = mixture_of_corpus(sources)
    reader = Reader(config.held_out_fraction, config.max_document_characters, mixture)
    print("training the tokenizer: looking through the corpus ...", flush=True)
    clock = [time.monotonic()]
    survey = survey_corpus(parts, reader, config.tokenizer_characters, config.workers)
    wanted = config.proportions or (mixture["proportions"] if mixture else None)
    shares = resolve_proportions(wanted, list(survey.documents), "proportions")
    budgets = {domain: max(1, int(share * config.tokenizer_characters)) for domain, share in shares.items()}
    limits = survey.limits(budgets)
    clock.append(time.monotonic())
    print("counting pre-tokens ...", flush=True)
    work = folder.parent / f".{folder.name}.counting"
    sample_limits = survey.limits({domain: min(budgets[domain], config.sample_characters) for domain in shares})
    counts = count_pre_tokens(
        parts, reader, limits, budgets, shares, sample_limits, work, config.workers, config.most_pre_tokens
    )
    sample = DocumentSample(counts.sample, shares)
    clock.append(time.monotonic())
    print(f"merging: {len(counts.words):,} different pre-tokens ...", flush=True)
    alphabet = choose_alphabet(counts.words, config.character_coverage, config.vocab_size)

    merging = 0.0

    def train(size: int) -> list[str]:
        nonlocal merging
        start = time.monotonic()
        tokens = rank_tokens(counts.words, size, alphabet, config.max_token_characters)
        merging += time.monotonic() - start
        return tokens

    wanted_tokens = config.vocab_size - len(FIRST_TOKENS)
    vocabulary = remove_unsuitable(train, wanted_tokens, sample, classes, config.min_documents)
    handle = save_tokenizer(finished(assemble(vocabulary.tokens)), folder)
    write_removed(folder / REMOVED_NAME, vocabulary)
    clock.append(time.monotonic())
    seconds = {
        "first_reading": clock[1] - clock[0],
        "counting": clock[2] - clock[1],
        "merging": merging,
        "removal": clock[3] - clock[2] - merging,
    }
    seconds = {step: round(value, 2) for step, value in seconds.items()}
    return MadeTokenizer(handle, vocabulary, counts, shares, dict(survey.rejections), seconds)


def train_tokenizer(texts: Iterable[str], vocab_size: int, min_documents: int = 1) -> PreTrainedTokenizerFast:
    """Trains a tokenizer on texts that fit into memory.

    Args:
        texts: the training texts; only the counts of their pre-tokens matter, not their order.
        vocab_size: number of tokens, special ones and the 256 bytes included.
        min_documents: a token that fewer texts use is removed as rare.

    Raises:
        InputError: vocab_size cannot hold the special tokens and bytes, or there is too little text for it.
    """
    check_vocab_size(vocab_size)
    words: Counter[str] = Counter()
    documents = []
    for text in texts:
        words.update(pre_tokens(text))
        documents.append(Document(text, "text", "texts"))
    if not documents:
        raise InputError("no text to train the tokenizer on; the corpus is empty")
    sample = DocumentSample(documents)
    words = dict(sorted(words.items()))
    alphabet = choose_alphabet(words, 0.9999, vocab_size)
    vocabulary = remove_unsuitable(
        lambda size: rank_tokens(words, size, alphabet),
        vocab_size - len(FIRST_TOKENS), sample, wanted_classes([]), min_documents,
    )  # fmt: skip
    return finished(assemble(vocabulary.tokens))


def choose_alphabet(words: Mapping[str, int], coverage: float, vocab_size: int) -> list[str]:
    """The characters that are tokens, the most frequent first; printable ASCII is among the bytes already.

    Args:
        words: how often each pre-token occurs.
        coverage: share of all characters, 0 to 1, that are to be in the alphabet.
        vocab_size: of the tokenizer; half of it may be characters.
    """
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    plain = {BYTE_TOKENS[byte] for byte in PLAIN_BYTES}
    left = counts.total() * (1 - coverage)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    while ranked and ranked[-1][1] <= left:
        left -= ranked.pop()[1]
    most = int(MOST_CHARACTER_TOKENS * (vocab_size - len(FIRST_TOKENS)))
    return [character for character, _ in ranked if character not in plain and not is_control(character)][:most]


def write_removed(path: Path, vocabulary: Vocabulary) -> None:
    """Writes the removed tokens, one JSON object a line: token, class, count and documents in the sample."""
    rows = [
        {"token": each.token, "class": each.name, "count": round(each.count, 1), "documents": each.documents}
        for each in vocabulary.removed
    ]
    write_json_lines(path, rows)
