"""BPE over characters with bytes to fall back on, on the tokenizers library (section 2(2) of the paper).

Training merges characters, not bytes: a vocabulary of Japanese then holds no thirds of kanji, and training touches a
third of the symbols. What is no token is written in bytes, one token each, so any text comes back exactly as it went
in.

A vocabulary is a list of tokens in the order of their rank. Every way of joining two tokens into a third is a merge,
and the third's rank is its priority. So a token that is taken out takes no other token with it for whose making there
is another way.
"""

from collections.abc import Iterator, Mapping, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from ..errors import InputError
from .chat_template import CHATML_TEMPLATE
from .pre_tokens import PATTERN
from .special_tokens import BOS, EOS, PAD, SPECIAL_TOKENS

# Characters that are their own bytes: printable ASCII, tabulator and line feed. The other bytes are called <0x80> and
# so on; together they are 256 tokens, one a byte.
PLAIN_BYTES = {*range(0x20, 0x7F), 0x09, 0x0A}
BYTE_TOKENS = [chr(byte) if byte in PLAIN_BYTES else f"<0x{byte:02X}>" for byte in range(256)]
FIRST_TOKENS = [*SPECIAL_TOKENS, *BYTE_TOKENS]  # their ids are their places here
WORDS_IN_A_BATCH = 10_000


def check_vocab_size(vocab_size: int) -> None:
    """Raises InputError where a vocabulary has no room for tokens of its own."""
    if vocab_size <= len(FIRST_TOKENS):
        raise InputError(f"vocab_size {vocab_size} is too small: {len(FIRST_TOKENS)} are special tokens and bytes")


def rank_tokens(
    words: Mapping[str, int],
    size: int,
    alphabet: Sequence[str],
    max_token_characters: int = 16,
    show_progress: bool = False,
) -> list[str]:
    """Trains BPE.

    Args:
        words: how often each pre-token occurs.
        size: wanted number of tokens, special ones and bytes not counted.
        alphabet: the characters that are tokens beside the bytes, the most frequent first. Words are cut at others.
        max_token_characters: longest token.
        show_progress: whether the library draws its progress bars.

    Returns:
        The alphabet, then the merged tokens in the order of their merges; fewer than `size` where no pair of tokens
        occurs twice any more.
    """
    known = sorted({*alphabet, *(BYTE_TOKENS[byte] for byte in PLAIN_BYTES)})
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(alphabet) + len(known),
        min_frequency=2,
        initial_alphabet=known,
        limit_alphabet=len(known),
        max_token_length=max_token_characters,
        show_progress=show_progress,
    )
    bpe = Tokenizer(models.BPE())
    bpe.train_from_iterator(_repeated(words, set(known)), trainer)
    ranks = bpe.get_vocab()
    merged = sorted((token for token in ranks if len(token) > 1), key=ranks.__getitem__)
    return [*alphabet, *merged]


def _repeated(words: Mapping[str, int], known: set[str]) -> Iterator[list[str]]:
    """Each word as often as it occurs: the library counts for itself, and takes no counts.

    Characters that are no tokens end a word, since the library would leave them out and join what stands around them.
    """
    batch: list[str] = []
    for word, count in words.items():
        pieces = [word]
        if not known.issuperset(word):
            pieces = "".join(character if character in known else "\0" for character in word).split("\0")
        for piece in pieces:
            left = count if len(piece) > 1 else 0  # nothing merges within one character
            while left > 0:
                taken = min(left, WORDS_IN_A_BATCH)
                batch += [piece] * taken
                left -= taken
                if len(batch) >= WORDS_IN_A_BATCH:
                    yield batch
                    batch = []
    if batch:
        yield batch


def assemble(tokens: Sequence[str]) -> Tokenizer:
    """The tokenizer of a vocabulary.

    Args:
        tokens: the tokens beside the special ones and the bytes, in the order of their ranks.
    """
    vocabulary = {token: number for number, token in enumerate([*FIRST_TOKENS, *tokens])}
    parts = {BYTE_TOKENS[byte] for byte in PLAIN_BYTES}.union(tokens)
    merges = [pair for token in tokens for pair in splits(token, parts)]
    bpe = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True))
    bpe.pre_tokenizer = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
    bpe.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    bpe.add_special_tokens(SPECIAL_TOKENS)
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, SPECIAL_TOKENS.index(BOS))]
    )
    return bpe


def splits(token: str, parts: set[str]) -> list[tuple[str, str]]:
    """The ways of making a token of two others."""
    return [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in parts and token[i:] in parts]


def unreachable(bpe: Tokenizer, tokens: Sequence[str]) -> list[str]:
    """The tokens whose own text is not encoded as the token."""
    encoded = bpe.encode_batch_fast(list(tokens), add_special_tokens=False)
    return [token for token, encoding in zip(tokens, encoded) if encoding.ids != [bpe.token_to_id(token)]]


def finished(bpe: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer for transformers, with its special tokens and the chat template."""
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


def bytes_of_tokens(vocabulary: Sequence[str]) -> list[bytes]:
    """What each token stands for, in bytes."""
    codes = {token: bytes([byte]) for byte, token in enumerate(BYTE_TOKENS)}
    return [codes.get(token) or token.encode() for token in vocabulary]
