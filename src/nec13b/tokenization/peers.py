"""Other people's tokenizers, to compare with: folders, files, or names on the Hub; no remote code is run."""

import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CacheNotFound, constants, scan_cache_dir
from tokenizers import Tokenizer
from transformers import AutoTokenizer
from transformers.convert_slow_tokenizer import TikTokenConverter, bytes_to_unicode

from ..errors import InputError, one_line
from ..run_record import fingerprint_of_file

BYTES_BY_LETTER = {letter: byte for byte, letter in bytes_to_unicode().items()}
TIKTOKEN_LINE = re.compile(rb"[A-Za-z0-9+/]+=* \d+\n")
CACHED = "cached"
BYTE_NAME = re.compile(r"<0x([0-9A-F]{2})>")


@dataclass(frozen=True)
class Peer:
    """A tokenizer with a name.

    Attributes:
        name: how reports call it.
        backend: it.
    """

    name: str
    backend: Tokenizer

    def lengths(self, texts: list[str]) -> list[int]:
        """The number of tokens of each text, without special ones."""
        self.backend.encode_special_tokens = True
        return [len(encoding.ids) for encoding in self.backend.encode_batch_fast(texts, add_special_tokens=False)]

    def token_texts(self) -> list[str]:
        """What the tokens stand for, special tokens and those of single bytes left out.

        A token that is a piece of a character has U+FFFD in its text.
        """
        special = {str(token) for token in self.backend.get_added_tokens_decoder().values()}
        decoder = repr(self.backend.decoder)
        texts = []
        for token in self.backend.get_vocab():
            if token in special or BYTE_NAME.fullmatch(token):
                continue
            if "ByteLevel" in decoder:
                data = bytes(BYTES_BY_LETTER.get(letter, 0x3F) for letter in token)
                if len(data) > 1 or data.isascii():
                    texts.append(data.decode(errors="replace"))
            else:
                texts.append(token.replace("▁", " ") if "▁" in decoder else token)
        return texts


def load_peers(entries: list[str]) -> list[Peer]:
    """Loads tokenizers.

    Args:
        entries: `NAME=PLACE` or `PLACE` alone: a folder, a tokenizer.json, a tiktoken file, or a name on the Hub;
            `cached` is every fast tokenizer that the Hub's cache on this machine holds.

    Raises:
        InputError: one of them cannot be loaded.
    """
    peers: dict[str, Peer] = {}
    for entry in entries:
        name, equals, place = entry.partition("=")
        if not equals:
            name, place = _name_of(entry), entry
        if place == CACHED:
            peers = _cached() | peers
            continue
        if name in peers:
            raise InputError(f"peers: two are called {name!r}; write NAME=PLACE")
        try:
            peers[name] = Peer(name, _load(place))
        except Exception as error:  # the libraries raise many kinds
            raise InputError(f"peers: cannot load a tokenizer from {place}: {one_line(error, 200)}") from None
    return list(peers.values())


def _cached() -> dict[str, Peer]:
    """The fast tokenizers of the Hub's cache, each once, however many models share it."""
    try:
        repositories = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return {}
    found: dict[str, Peer] = {}
    seen: set[str] = set()
    for repository in sorted(repositories, key=lambda repository: repository.repo_id):
        files = [file for revision in repository.revisions for file in revision.files]
        for file in sorted(files, key=lambda file: -file.blob_last_modified):
            if file.file_name == "tokenizer.json" and file.file_path.is_file():
                fingerprint = fingerprint_of_file(file.file_path)
                if fingerprint not in seen:
                    seen.add(fingerprint)
                    try:
                        found[repository.repo_id] = Peer(repository.repo_id, _load(str(file.file_path)))
                    except Exception as error:  # nobody asked for this one by name
                        reason = one_line(error, 100)
                        print(f"left out of the peers: {repository.repo_id} ({reason})")
                break
    return found


def _name_of(place: str) -> str:
    path = Path(place)
    return path.parent.name if path.name == "tokenizer.json" else path.stem if path.is_file() else path.name


def _load(place: str) -> Tokenizer:
    path = Path(place)
    if path.is_file() and path.suffix == ".json":
        return Tokenizer.from_file(str(path))
    if path.is_file():
        with path.open("rb") as file:
            if not TIKTOKEN_LINE.fullmatch(file.readline(1000)):
                raise ValueError("neither a tokenizer.json nor a tiktoken file")
        return TikTokenConverter(vocab_file=str(path)).converted()
    if (path / "tokenizer.json").is_file():
        return Tokenizer.from_file(str(path / "tokenizer.json"))
    return AutoTokenizer.from_pretrained(place, trust_remote_code=False).backend_tokenizer
