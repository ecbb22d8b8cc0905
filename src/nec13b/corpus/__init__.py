"""Raw text comes in here: documents with a domain, from files, crawls, the Hub or the sample, and is cleaned."""

import os

# datatrove's logs would show the values of variables, whole texts among them, where a task fails.
os.environ.setdefault("LOGURU_DIAGNOSE", "NO")

from .documents import Document, Rejections, domain_of_text, is_held_out
from .reading import read_documents, read_part
from .sources import Part, Source, corpus_identity, parse_sources, parts_of

__all__ = [
    "Document",
    "Part",
    "Rejections",
    "Source",
    "corpus_identity",
    "domain_of_text",
    "is_held_out",
    "parse_sources",
    "parts_of",
    "read_documents",
    "read_part",
]
