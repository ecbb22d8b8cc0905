"""Writing and reading a tokenizer folder, whole or not at all, with the fingerprint by which other stages know it."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from ..errors import InputError, one_line
from ..run_record import fingerprint_of_file

MADE_BY = "recipes/train_tokenizer.py"


@dataclass(frozen=True)
class TokenizerHandle:
    """A loaded tokenizer.

    Attributes:
        tokenizer: a fast tokenizer.
        path: the folder or Hub name it came from.
        fingerprint: SHA-256 of its `tokenizer.json`; token ids mean the same where it is the same.
    """

    tokenizer: PreTrainedTokenizerFast
    path: str
    fingerprint: str

    @property
    def padded_vocab_size(self) -> int:
        """The vocabulary of a model for it: the next multiple of 128, for even splits and fast matrix kernels."""
        return -(-len(self.tokenizer) // 128) * 128


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: str | os.PathLike) -> TokenizerHandle:
    """Writes the tokenizer's files into `folder`, each whole, over older ones; other files there are left alone."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as temporary:
        tokenizer.save_pretrained(temporary)
        # tokenizer.json comes last: without it the folder is not a tokenizer.
        for path in sorted(Path(temporary).iterdir(), key=lambda path: path.name == "tokenizer.json"):
            os.replace(path, folder / path.name)
    return load_tokenizer(folder)


def load_tokenizer(path: str | os.PathLike, gguf_file: str | None = None) -> TokenizerHandle:
    """Loads a tokenizer from a local folder, or by its name from the Hub.

    Args:
        path: folder or Hub name.
        gguf_file: name of the GGUF file in it that holds the tokenizer.

    Raises:
        InputError: there is none, it is damaged, not a fast one, or has no end-of-text token.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), **({"gguf_file": gguf_file} if gguf_file else {}))
    except Exception as error:  # the library raises many kinds for a bad folder or name
        # A path that is not there is taken for a name of the Hub, and what is said of that helps nobody.
        is_path = (str(path).count("/") > 1 or str(path).startswith((".", "~"))) and not Path(path).exists()
        reason = "there is no such folder" if is_path else one_line(error, 200)
        raise InputError(f"cannot load a tokenizer from {path} ({MADE_BY} makes one): {reason}") from None
    if not tokenizer.is_fast:
        raise InputError(f"the tokenizer of {path} is not a fast one (it has no tokenizer.json)")
    if tokenizer.eos_token_id is None:
        raise InputError(f"the tokenizer of {path} has no eos_token, which marks the end of a document")
    local = Path(path) / "tokenizer.json"
    if local.is_file() and not gguf_file:
        fingerprint = fingerprint_of_file(local)
    else:
        import hashlib

        fingerprint = "sha256:" + hashlib.sha256(tokenizer.backend_tokenizer.to_str(pretty=True).encode()).hexdigest()
    return TokenizerHandle(tokenizer, str(path), fingerprint)
