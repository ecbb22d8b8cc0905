"""The settings of tokenizer training."""

from dataclasses import dataclass, field

from ..corpus.settings import CorpusSettings
from ..errors import InputError


@dataclass
class TokenizerSettings(CorpusSettings):
    """Training a tokenizer on a corpus (section 2(2) of the paper)."""

    held_out_fraction: float = field(
        default=0.01, metadata={"help": "Share of documents, by hash, that is kept for evaluation."}
    )
    vocab_size: int = field(default=50_176, metadata={"help": "Size of the vocabulary, special tokens included."})
    tokenizer_characters: int = field(
        default=300_000_000, metadata={"help": "Characters of each domain that the tokenizer is trained on."}
    )

    def check_corpus_settings(self) -> None:
        """Raises InputError where a value makes no sense."""
        super().check_corpus_settings()
        if not 0 <= self.held_out_fraction < 1:
            raise InputError(f"held_out_fraction must lie between 0 and 1, not {self.held_out_fraction}")


@dataclass
class TrainTokenizerConfig(TokenizerSettings):
    """Trains a byte-complete BPE tokenizer on a corpus and saves it for AutoTokenizer."""

    output_dir: str = field(default="runs/tokenizer", metadata={"help": "Folder that the tokenizer is written to."})

    def __post_init__(self):
        self.check_corpus_settings()
