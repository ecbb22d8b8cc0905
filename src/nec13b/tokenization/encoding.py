"""The two ways into tokens that transformers' call does not offer: text that can hold no special token, and bytes.

`tokenizer(text)` makes a special token of one that is spelt out, as everybody expects of it (chat templates depend on
it). Where a text comes from outside, `ids_of_text` is the way. What is not valid UTF-8 is no text; `ids_of_bytes`
takes any bytes, and `bytes_of_ids` gives the same ones back.
"""

from transformers import PreTrainedTokenizerBase

from ..errors import InputError
from .bpe import BYTE_TOKENS, bytes_of_tokens


def ids_of_text(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The ids of a text, none of them of a special token, whatever the text spells out."""
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def ids_of_bytes(tokenizer: PreTrainedTokenizerBase, data: bytes) -> list[int]:
    """The ids of any bytes: what is valid UTF-8 as text, each other byte as its token.

    Raises:
        InputError: the tokenizer has no byte tokens of this project.
    """
    _check(tokenizer)
    ids: list[int] = []
    while data:
        try:
            valid, invalid, data = data.decode(), b"", b""
        except UnicodeDecodeError as error:
            valid, invalid = data[: error.start].decode(), data[error.start : error.end]
            data = data[error.end :]
        ids += ids_of_text(tokenizer, valid) if valid else []
        ids += [tokenizer.convert_tokens_to_ids(BYTE_TOKENS[byte]) for byte in invalid]
    return ids


def bytes_of_ids(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> bytes:
    """The bytes that ids stand for; special tokens as they are spelt.

    Raises:
        InputError: the tokenizer has no byte tokens of this project, or an id is not in its vocabulary.
    """
    _check(tokenizer)
    tokens = tokenizer.convert_ids_to_tokens(list(ids))
    if None in tokens:
        raise InputError(f"id {ids[tokens.index(None)]} is not in the tokenizer's vocabulary")
    return b"".join(bytes_of_tokens(tokens))


def _check(tokenizer: PreTrainedTokenizerBase) -> None:
    if BYTE_TOKENS[0xFF] not in tokenizer.get_vocab():
        raise InputError("this tokenizer has no tokens for single bytes; recipes/train_tokenizer.py makes one that has")
