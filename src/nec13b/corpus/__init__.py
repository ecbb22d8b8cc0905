"""Raw text comes in here: documents with a domain, read from files, the Hub or the built-in sample."""

from .documents import Document, Rejections, domain_of_text, is_held_out
from .sources import Source, corpus_identity, parse_sources, read_documents

__all__ = [
    "Document",
    "Rejections",
    "Source",
    "corpus_identity",
    "domain_of_text",
    "is_held_out",
    "parse_sources",
    "read_documents",
]
