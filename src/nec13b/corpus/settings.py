"""The settings that every recipe which reads raw text shares."""

from dataclasses import dataclass, field

from ..errors import InputError
from .sources import MAX_DOCUMENT_CHARACTERS


@dataclass
class CorpusSettings:
    """Which text is read."""

    corpus: list[str] = field(
        default_factory=lambda: ["sample"],
        metadata={"help": "Where text comes from: sample, files, folders, patterns, hub:NAME; options after commas."},
    )
    max_document_characters: int = field(
        default=MAX_DOCUMENT_CHARACTERS, metadata={"help": "Longer documents are set aside and counted."}
    )

    def check_corpus_settings(self) -> None:
        """Raises InputError where a value makes no sense."""
        if self.max_document_characters < 1:
            raise InputError(f"max_document_characters must be at least 1, not {self.max_document_characters}")
