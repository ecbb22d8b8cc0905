"""What a document is, on which side of the train/held-out split it falls, and where the unusable ones are noted.

A corpus is a stream of `Document`s. The domain (ja, en, code) is the unit in which texts are mixed and losses are
reported. Nothing that cannot be used disappears: `Rejections` counts it by reason and writes it to a file.
"""

import collections
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

KANA = re.compile(r"[\u3041-\u30ff]")
LETTER = re.compile(r"[^\W\d_]")
JAPANESE_LETTER = re.compile(r"[\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff]")
LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
SPLITS = ("train", "held_out")
CODE = "code"  # the domain whose text is left as it is


@dataclass(frozen=True, slots=True)
class Document:
    """One text with what the later stages need to know about it.

    Attributes:
        text: the text, valid Unicode without lone surrogates, not empty.
        domain: `ja`, `en`, `code` or a name of the user's own; texts are mixed by domain.
        source: the label of the corpus entry it came from.
        group: documents of one group always fall on the same side of the train/held-out split, so that, say, a
            docstring is never held out while its module is trained on. Empty: the text itself decides.
        id: where it stands, `label/file:row`; no two documents of a corpus share it.
        source_id: what the source itself calls it, from its field `id` or `source`.
        url: the page it was taken from, or empty.
        language: what the source says its language is, or empty.
        licence: under which licence it may be used, or empty where nobody said.
        split: `train` or `held_out` where an earlier stage has decided, else empty.
        kind: what sort of text a labelled data set calls it (`bbs`, `link_list`), or empty.
    """

    text: str
    domain: str
    source: str
    group: str = ""
    id: str = ""
    source_id: str = ""
    url: str = ""
    language: str = ""
    licence: str = ""
    split: str = ""
    kind: str = ""

    @property
    def site(self) -> str:
        """The host of its page, without `www.`; else what stands before the first colon of its source_id; else empty.

        Documents of one site share their boilerplate and their style.
        """
        if self.url:
            try:
                return (urlsplit(self.url).hostname or "").removeprefix("www.")
            except ValueError:  # an address that is none
                return ""
        name, colon, _ = self.source_id.partition(":")
        return name if colon else ""


def domain_of_text(text: str) -> str:
    """`ja` where at least a tenth of the letters are Japanese and kana occur, else `en`.

    A rule of thumb for files that do not say; the first 10,000 characters decide.
    """
    head = text[:10_000]
    letters = len(LETTER.findall(head))
    japanese = len(JAPANESE_LETTER.findall(head))
    return "ja" if letters and japanese >= 0.1 * letters and KANA.search(head) else "en"


def is_held_out(document: Document, fraction: float) -> bool:
    """Whether the document belongs to the held-out part: as an earlier stage decided, else a `fraction` (0 to 1).

    Pure function of the group (or the text), so the split survives reordering, resharding and added data, and exact
    duplicates stay on one side.
    """
    if document.split:
        return document.split == "held_out"
    key = document.group or document.text
    digest = hashlib.sha1(key.encode()).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64


class Rejections:
    """Counts what had to be set aside, by reason, and writes each case to a JSONL file as it comes.

    Args:
        path: file of one JSON object a case (`source`, `line`, `reason`, `excerpt`); None keeps counts only.
    """

    def __init__(self, path: str | os.PathLike | None = None):
        self.path = Path(path) if path else None
        self.counts: collections.Counter[str] = collections.Counter()
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)

    def add(self, source: str, line: int | None, reason: str, excerpt: str | bytes = b"", **more: Any) -> None:
        """Notes a case; what else is said of it stands in its row too."""
        self.counts[reason] += 1
        if not self.path:
            return
        if isinstance(excerpt, bytes):
            excerpt = excerpt[:400].decode("utf-8", errors="backslashreplace")
        row = {"source": source, "line": line, "reason": reason, "excerpt": excerpt[:200], **more}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=True) + "\n")

    def __str__(self) -> str:
        return ", ".join(f"{count:,} × {reason}" for reason, count in self.counts.most_common())
