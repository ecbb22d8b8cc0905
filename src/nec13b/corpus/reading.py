"""Documents out of a corpus: the rows of its files, Hub data sets or the sample, with what is known of each.

Reading is lazy and in a fixed order. Its memory is that of the longest document allowed, and 16 bytes for each row of a
file that has an id (to tell of those that occur twice).
"""

import dataclasses
import re
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from .documents import CODE, LONE_SURROGATE, SPLITS, Document, Rejections, domain_of_text
from .file_formats import Rows, kind_of_file, rows_of_file, rows_of_hub_data_set
from .sources import DOMAIN_NAME, MAX_DOCUMENT_CHARACTERS, Part, Source, parts_of
from .web_pages import PageReader

LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?=$|[-_])")
ISO_639_1 = {"jpn": "ja", "eng": "en"}  # what others call the languages of this project


def read_documents(
    sources: list[Source],
    rejections: Rejections | None = None,
    max_document_characters: int = MAX_DOCUMENT_CHARACTERS,
) -> Iterator[Document]:
    """Streams the documents of all sources in a fixed order.

    Args:
        sources: from `parse_sources`.
        rejections: takes note of every row or file that cannot be used; the stream goes on.
        max_document_characters: longer documents are set aside (they are dumps far more often than texts).

    Raises:
        InputError: a source does not exist or cannot be opened at all.
    """
    rejections = rejections if rejections is not None else Rejections()
    for part in parts_of(sources):
        yield from read_part(part, rejections, max_document_characters)


def read_part(
    part: Part,
    rejections: Rejections,
    max_document_characters: int = MAX_DOCUMENT_CHARACTERS,
    guess_domain: Callable[[str], str] = domain_of_text,
) -> Iterator[Document]:
    """Streams the documents of one part.

    Args:
        part: from `parts_of`.
        rejections: takes note of every row or file that cannot be used; the stream goes on.
        max_document_characters: longer documents are set aside.
        guess_domain: gives the domain of a text for which nobody says one.
    """
    source = part.source
    if source.is_sample:
        from .sample import sample_documents

        for document in sample_documents(source.domain):
            yield dataclasses.replace(
                document,
                source=source.label,
                id=source.label + document.id.removeprefix("sample"),
                licence=source.licence or document.licence,
            )
        return
    if source.hub_name:
        rows = rows_of_hub_data_set(source.hub_name, source.name, source.split, part.shard, part.shards)
        yield from _documents_of(
            rows, source.location, part.name, part, rejections, max_document_characters, guess_domain
        )
    with PageReader() as pages:
        for path, name in part.files:
            rows = rows_of_file(Path(path), source.text_field, rejections, max_document_characters, pages)
            guess = (lambda text: "code") if kind_of_file(path) == "code" else guess_domain
            yield from _documents_of(rows, path, name, part, rejections, max_document_characters, guess)


def _documents_of(
    rows: Rows,
    place: str,
    name: str,
    part: Part,
    rejections: Rejections,
    max_document_characters: int,
    guess_domain: Callable[[str], str],
) -> Iterator[Document]:
    """The documents of the rows of one file (at `place`); they are called by `name`."""
    source = part.source
    identifiers, numbers = array("q"), array("Q")
    for number, row in rows:
        text = row.get(source.text_field) if isinstance(row, dict) else None
        if not isinstance(text, str):
            rejections.add(place, number, f"no text in field '{source.text_field}'", str(row))
        elif not text.strip():
            rejections.add(place, number, "empty text")
        elif len(text) > max_document_characters:
            reason = f"longer than max_document_characters ({max_document_characters:,})"
            rejections.add(place, number, reason, text[:200])
        elif LONE_SURROGATE.search(text):
            rejections.add(place, number, "lone surrogate (not valid Unicode)", ascii(text[:200]))
        else:
            identifier = said(row, "id")
            if identifier:
                identifiers.append(hash(identifier))
                numbers.append(number or 0)
            if part.cleaned:
                label, own_id, source_id = said(row, "source"), identifier, said(row, "source_id")
                split = said(row, "split")
            else:
                own_id = name if number is None else f"{name}:{number}"
                label, source_id, split = source.label, identifier or said(row, "source"), ""
            yield Document(
                text,
                source.domain or _domain_said(row) or guess_domain(text),
                label,
                group=said(row, "group"),
                id=own_id,
                source_id=source_id,
                url=said(row, "url"),
                language=said(row, "language", "lang"),
                licence=said(row, "licence", "license") or source.licence,
                split=split if split in SPLITS else "",
                kind=said(row, "kind"),
            )
    _, first = np.unique(np.frombuffer(identifiers, np.int64), return_index=True)
    for again in np.setdiff1d(np.arange(len(identifiers)), first):
        rejections.add(place, numbers[again], "duplicate id (the document is kept)")


def _domain_said(row: dict) -> str:
    """The domain that a row names, else the language it names (jpn, ja-JP and jpn_Jpan are ja), else nothing."""
    if DOMAIN_NAME.fullmatch(domain := said(row, "domain")):
        return domain
    if said(row, "lang") == CODE:  # as corpora say that sort languages and source code alike
        return CODE
    code = LANGUAGE.match(said(row, "lang"))
    return ISO_639_1.get(code[0].lower(), code[0].lower()) if code else ""


def said(row: dict, *names: str) -> str:
    """The first of these fields that holds something, as a string without lone surrogates."""
    for name in names:
        value = row.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
            return LONE_SURROGATE.sub("\ufffd", str(value))
    return ""
