"""The settings of tokenizer training."""

from dataclasses import dataclass, field

from ..corpus.settings import CorpusSettings


@dataclass
class TokenizerSettings(CorpusSettings):
    """Training a tokenizer on a corpus (section 2(2) of the paper)."""

    vocab_size: int = field(default=50_176, metadata={"help": "Size of the vocabulary, special tokens included."})
    tokenizer_characters: int = field(
        default=300_000_000, metadata={"help": "Characters of each domain that the tokenizer is trained on."}
    )


@dataclass
class TrainTokenizerConfig(TokenizerSettings):
    """Trains a byte-complete BPE tokenizer on a corpus and saves it for AutoTokenizer."""

    output_dir: str = field(default="runs/tokenizer", metadata={"help": "Folder that the tokenizer is written to."})

    def __post_init__(self):
        self.check_corpus_settings()
