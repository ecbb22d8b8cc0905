"""Text becomes tokens here: byte-complete BPE, special tokens and the chat template."""

from .bpe import SPECIAL_TOKENS, sample_by_hash, train_tokenizer
from .chat_template import CHATML_TEMPLATE
from .corpus_tokenizer import make_tokenizer
from .storage import TokenizerHandle, load_tokenizer, save_tokenizer

__all__ = [
    "CHATML_TEMPLATE",
    "SPECIAL_TOKENS",
    "TokenizerHandle",
    "load_tokenizer",
    "make_tokenizer",
    "sample_by_hash",
    "save_tokenizer",
    "train_tokenizer",
]
