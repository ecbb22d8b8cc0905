"""Byte-level BPE for Japanese, English and code (section 2(2) of the paper), on the tokenizers library.

Text is cut into pre-tokens, within which BPE merges; a token never spans two of them. Japanese has no spaces, so the
cuts follow the change of script: kanji, hiragana and katakana runs. Every byte is a token, nothing is normalised, and
so any text comes back exactly as it went in.
"""

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from ..corpus import Document
from ..errors import InputError
from .chat_template import CHATML_TEMPLATE

PAD, BOS, EOS, IM_START, IM_END = "<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"
# Their ids are their places here; the reserved ones keep later additions from changing the size of the embedding.
SPECIAL_TOKENS = [PAD, BOS, EOS, IM_START, IM_END, *(f"<|reserved_{i}|>" for i in range(11))]

HAN = r"\p{Han}々〆〇ヶ"
HIRAGANA = r"\p{Hiragana}ー"
KATAKANA = r"\p{Katakana}ー"
PRE_TOKEN_PATTERN = "|".join(
    [
        r"'(?i:[sdmt]|ll|ve|re)(?!\p{L})",  # English contractions
        rf"[{HAN}]+",
        rf"\p{{Hiragana}}[{HIRAGANA}]*",
        rf"[{KATAKANA}]+",
        # Words of any other script, with the space or sign before them.
        r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}&&[^\p{Han}\p{Hiragana}\p{Katakana}]]+",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",  # indentation, all but the space that belongs to the next word
        r"\s+",
    ]
)


def train_tokenizer(texts: Iterable[str], vocab_size: int, show_progress: bool = False) -> PreTrainedTokenizerFast:
    """Trains the tokenizer.

    Args:
        texts: the training texts; only the counts of their pre-tokens matter, not their order.
        vocab_size: number of tokens, special ones and the 256 bytes included; fewer come out of a small corpus.
        show_progress: whether the library draws its progress bars.

    Raises:
        InputError: vocab_size cannot hold the special tokens and bytes, or there is no text.
    """
    smallest = len(SPECIAL_TOKENS) + 256
    if vocab_size < smallest:
        raise InputError(f"vocab_size {vocab_size} is too small: {smallest} are the special tokens and the 256 bytes")
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRE_TOKEN_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=show_progress,
    )
    count = 0

    def counted() -> Iterator[str]:
        nonlocal count
        for text in texts:
            count += 1
            yield text

    bpe.train_from_iterator(counted(), trainer)
    if not count:
        raise InputError("no text to train the tokenizer on; the corpus is empty")
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, SPECIAL_TOKENS.index(BOS))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        extra_special_tokens=[token for token in SPECIAL_TOKENS if token not in (PAD, BOS, EOS)],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHATML_TEMPLATE
    return tokenizer


def sample_by_hash(documents: Iterable[Document], characters_per_domain: int) -> list[Document]:
    """A uniform sample of documents, up to `characters_per_domain` characters of each domain.

    Those with the smallest hashes are drawn until the budget is spent, so the sample depends on the texts alone, not on
    their order. A document longer than the whole budget is cut to it. Memory is bounded by the sample.
    """
    heaps: dict[str, list[tuple[int, int, Document]]] = {}
    sizes: dict[str, int] = {}
    limits: dict[str, int] = {}  # hashes from here on are beyond the budget
    for number, document in enumerate(documents):
        domain = document.domain
        rank = int.from_bytes(hashlib.sha1(document.text.encode()).digest()[:8], "big")
        if rank >= limits.get(domain, 2**64):
            continue
        if len(document.text) > characters_per_domain:
            document = replace(document, text=document.text[:characters_per_domain])
        heap = heaps.setdefault(domain, [])
        heapq.heappush(heap, (-rank, number, document))  # the largest hash on top, first to go
        sizes[domain] = sizes.get(domain, 0) + len(document.text)
        while sizes[domain] > characters_per_domain:
            negative_rank, _, dropped = heapq.heappop(heap)
            sizes[domain] -= len(dropped.text)
            limits[domain] = -negative_rank
    return [document for domain in sorted(heaps) for _, _, document in sorted(heaps[domain], key=lambda item: item[:2])]
