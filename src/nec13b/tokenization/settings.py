"""The settings of tokenizer training."""

import dataclasses
import os
from dataclasses import dataclass, field

from ..corpus.settings import CorpusSettings
from ..errors import InputError
from ..recipe_config import parse_mapping
from .bpe import check_vocab_size

REPORT_SETTINGS = ("report", "peers", "workers")  # they change nothing of the tokenizer


@dataclass
class TokenizerSettings(CorpusSettings):
    """The settings of a tokenizer that other recipes take too, which train one where none is given."""

    held_out_fraction: float = field(
        default=0.01, metadata={"help": "Share of documents, by hash, that is kept for evaluation."}
    )
    vocab_size: int = field(default=50_176, metadata={"help": "Size of the vocabulary, special tokens included."})
    tokenizer_characters: int = field(
        default=1_000_000_000, metadata={"help": "Characters in all that the tokenizer is trained on, at most."}
    )

    def check_corpus_settings(self) -> None:
        """Raises InputError where a value makes no sense."""
        super().check_corpus_settings()
        if not 0 <= self.held_out_fraction < 1:
            raise InputError(f"held_out_fraction must lie between 0 and 1, not {self.held_out_fraction}")


@dataclass
class TrainTokenizerConfig(TokenizerSettings):
    """Trains a tokenizer on a corpus, removes what is unsuitable as a token, and saves it for AutoTokenizer."""

    output_dir: str = field(default="runs/tokenizer", metadata={"help": "Folder that the tokenizer is written to."})
    overwrite_output_dir: bool = field(default=False, metadata={"help": "Replace a tokenizer that lies in output_dir."})
    proportions: dict | str | None = field(
        default=None,
        metadata={
            "help": "Share of each domain in the characters of training, ja=0.45,en=0.35,code=0.2. "
            "Default: those of the cleaned corpus, else the project's."
        },
    )
    max_token_characters: int = field(default=16, metadata={"help": "Longest token."})
    character_coverage: float = field(
        default=0.9999, metadata={"help": "Share of the text whose characters are tokens; others are written in bytes."}
    )
    min_documents: int = field(
        default=3, metadata={"help": "A token that fewer documents of the sample use is removed as rare."}
    )
    sample_characters: int = field(
        default=50_000_000, metadata={"help": "Characters of each domain on which the vocabulary is tried."}
    )
    keep_classes: list[str] = field(
        default_factory=list, metadata={"help": "Classes of unsuitable tokens that may stay (docs/tokenizer.md)."}
    )
    word_lists: dict | str | None = field(
        default=None, metadata={"help": 'Your own lists of unsuitable phrases, {"gambling": "words.txt"}.'}
    )
    workers: int = field(default=0, metadata={"help": "Processes that count; 0: one a core."})
    most_pre_tokens: int = field(
        default=3_000_000, metadata={"help": "Different pre-tokens that training holds, about 2 kB each."}
    )
    report: bool = field(
        default=False,
        metadata={"help": "Write report.html too; of a tokenizer that is there, without training it again."},
    )
    peers: list[str] = field(
        default_factory=lambda: ["cached"],
        metadata={
            "help": "Tokenizers to compare with in the report: folders, tokenizer.json files, Hub names, NAME=...; "
            "cached: those in the Hub's cache on this machine."
        },
    )

    def __post_init__(self):
        self.check_corpus_settings()
        self.proportions = parse_mapping("proportions", self.proportions, float)
        self.word_lists = parse_mapping("word_lists", self.word_lists) or {}
        self.workers = self.workers or os.cpu_count() or 1
        check_vocab_size(self.vocab_size)
        if not 0 < self.character_coverage <= 1:
            raise InputError(f"character_coverage must lie above 0 and at most be 1, not {self.character_coverage}")
        for name in ("tokenizer_characters", "min_documents", "sample_characters", "workers", "most_pre_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.max_token_characters < 2:
            raise InputError(f"max_token_characters must be at least 2, not {self.max_token_characters}")

    @classmethod
    def from_settings(cls, settings: TokenizerSettings) -> "TrainTokenizerConfig":
        """With the values of another recipe's settings, and the defaults for what they do not say."""
        names = [each.name for each in dataclasses.fields(TokenizerSettings)]
        return cls(**{name: getattr(settings, name) for name in names}, workers=1)
