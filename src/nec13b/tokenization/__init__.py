"""Text becomes tokens here: BPE, the removal of unsuitable tokens, special tokens and the chat template."""

from .chat_template import CHATML_TEMPLATE
from .corpus_tokenizer import MadeTokenizer, make_tokenizer, train_tokenizer
from .drawing import sample_by_hash
from .encoding import bytes_of_ids, ids_of_bytes, ids_of_text
from .special_tokens import SPECIAL_TOKENS
from .storage import TokenizerHandle, load_tokenizer, save_tokenizer

__all__ = [
    "CHATML_TEMPLATE",
    "SPECIAL_TOKENS",
    "MadeTokenizer",
    "TokenizerHandle",
    "bytes_of_ids",
    "ids_of_bytes",
    "ids_of_text",
    "load_tokenizer",
    "make_tokenizer",
    "sample_by_hash",
    "save_tokenizer",
    "train_tokenizer",
]
