"""A corpus as the web would bring it, made out of a clean one: to see the cleansing at work, and to measure it.

Clean documents get the frame of a web page around them (navigation, notices, an address), some of them personal data;
between them stand documents that were made dirty, exact copies, copies with small edits, and lines that cannot be read.
Every row says in its field `kind` what it is, so that one can count what the cleansing has caught.
"""

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from ..errors import InputError
from .dirtying import KINDS, dirty_text
from .documents import Document
from .settings import CorpusSettings

NAVIGATION = {
    "ja": ("ホーム | サイトマップ | お問い合わせ", "HOME > 記事一覧", "ログイン | 新規登録 | ヘルプ"),
    "en": ("Home | About us | Contact", "Skip to main content", "Log in | Sign up | Search"),
}
NOTICES = {
    "ja": (
        "当サイトではCookieを使用しています。",
        "続きを読む",
        "Copyright © 2023 All Rights Reserved.",
        "ページの先頭へ",
    ),
    "en": ("We use cookies to improve this site.", "Copyright © 2023. All rights reserved.", "Share on Facebook"),
}
FRAMES = {
    "ja": "この記事は「{site}」編集部がお届けしています。ご意見は紙面づくりの参考にいたします。",
    "en": "This page is part of the {site} collection, which is kept up to date by volunteers.",
}
CONTACTS = {
    "ja": ("お問い合わせは電話{phone}まで。", "連絡先：{mail}（担当）", "〒{code} 東京都千代田区の事務局まで。"),
    "en": ("For details write to {mail}.", "Call +81-3-{half}-{other} for help."),
}
SITES = 6
EDIT_RATE = 0.02  # of the characters of a near copy
CODE_KINDS = ("minified", "generated", "binary")


@dataclass
class DirtyCorpusConfig(CorpusSettings):
    """Makes a dirty corpus out of a clean one, with known kinds of dirt."""

    output_dir: str = field(default="runs/dirty", metadata={"help": "Folder for one JSONL file a domain."})
    overwrite_output_dir: bool = field(default=False, metadata={"help": "Make it anew where output_dir holds another."})
    dirty_share: float = field(default=0.3, metadata={"help": "Dirtied documents for each clean one."})
    copy_share: float = field(default=0.05, metadata={"help": "Exact copies for each clean document."})
    near_copy_share: float = field(default=0.05, metadata={"help": "Copies with edits for each clean document."})
    framed_share: float = field(default=0.5, metadata={"help": "Share of documents inside a web page's frame."})
    personal_data_share: float = field(default=0.1, metadata={"help": "Share of documents with personal data."})
    unreadable_lines: int = field(default=3, metadata={"help": "Lines in each file that cannot be read."})
    seed: int = field(default=0, metadata={"help": "Decides everything that is left to chance."})

    def __post_init__(self):
        self.check_corpus_settings()
        for name in ("dirty_share", "copy_share", "near_copy_share", "framed_share", "personal_data_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")


def dirty_rows(documents: Iterable[Document], config: DirtyCorpusConfig) -> Iterator[dict]:
    """The rows of the dirty corpus: each clean document, and what is put beside it."""
    before = ""
    for number, document in enumerate(documents):
        rng = random.Random(f"{config.seed}/{document.id or document.text[:500]}")
        language = document.domain if document.domain in NAVIGATION else ""
        text = document.text
        if language and rng.random() < config.personal_data_share:
            text = text.rstrip("\n") + "\n\n" + _contact(language, rng)
        site = f"site{rng.randrange(SITES)}.nec13b.invalid"
        framed = bool(language) and rng.random() < config.framed_share
        url = f"https://{site}/{number}.html" if framed else ""
        if framed:
            text = _framed(text, language, site, rng)
        yield _row(document, text, "clean", url)
        if rng.random() < config.dirty_share:
            kind, dirty = _dirtied(document, before, number, config)
            if dirty.strip():
                yield _row(document, dirty, kind)
        if rng.random() < config.copy_share:
            yield _row(document, document.text, "copy")
            yield _row(document, document.text, "copy")
        if rng.random() < config.near_copy_share:
            yield _row(document, edited(document.text, EDIT_RATE, rng), "near_copy")
        before = document.text


def edited(text: str, rate: float, rng: random.Random) -> str:
    """The text with that share of its characters changed, left out or doubled, at places drawn by chance."""
    letters = list(text)
    for place in rng.sample(range(len(letters)), round(rate * len(letters))):
        letters[place] = rng.choice((rng.choice(text), "", letters[place] * 2))
    return "".join(letters)


def write_dirty_corpus(documents: Iterable[Document], config: DirtyCorpusConfig) -> dict[str, Counter]:
    """Writes `<domain>.jsonl.zst` files and returns how many rows of each kind there are, by domain."""
    folder = Path(config.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    counts: dict[str, Counter] = {}
    files: dict[str, tuple] = {}
    try:
        for row in dirty_rows(documents, config):
            domain = row["domain"]
            if domain not in files:
                path = folder / f".{domain}.jsonl.zst.tmp"
                raw = path.open("wb")
                files[domain] = (path, raw, zstandard.ZstdCompressor().stream_writer(raw))
            files[domain][2].write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            counts.setdefault(domain, Counter())[row["kind"]] += 1
        for domain, (path, raw, file) in files.items():
            bad = [b'{"text": "broken', b'{"text": "\xff\xfe"}', b'{"text": "\\ud800"}', b'{"body": "no text"}']
            for i in range(config.unreadable_lines):
                file.write(bad[i % len(bad)] + b"\n")
            counts[domain]["unreadable"] += config.unreadable_lines
            file.close()
            raw.close()
            path.replace(folder / f"{domain}.jsonl.zst")
    finally:
        for path, raw, _ in files.values():
            raw.close()
            path.unlink(missing_ok=True)
    if not counts:
        raise InputError("the corpus holds no usable document")
    return counts


def _row(document: Document, text: str, kind: str, url: str = "") -> dict:
    row = {"text": text, "domain": document.domain, "kind": kind, "source": document.id}
    row |= {
        name: value for name, value in (("url", url), ("licence", document.licence), ("group", document.group)) if value
    }
    return row


def _contact(language: str, rng: random.Random) -> str:
    digits = "".join(rng.choice("0123456789") for _ in range(15))
    return rng.choice(CONTACTS[language]).format(
        phone=f"03-{digits[:4]}-{digits[4:8]}",
        mail=f"user{digits[:4]}@mail{digits[4]}.nec13b.invalid",
        code=f"{digits[8:11]}-{digits[11:]}",
        half=digits[:4],
        other=digits[4:8],
    )


def _framed(text: str, language: str, site: str, rng: random.Random) -> str:
    """The text with navigation above, and a notice and the same sentence on every page of the site below it."""
    top = "\n".join(rng.sample(NAVIGATION[language], 2))
    bottom = "\n".join([rng.choice(NOTICES[language]), FRAMES[language].format(site=site.split(".")[0])])
    return f"{top}\n\n{text.strip()}\n\n{bottom}\n"


def _dirtied(document: Document, other: str, number: int, config: DirtyCorpusConfig) -> tuple[str, str]:
    if document.domain != "code":
        kind = list(KINDS)[number % len(KINDS)]
        return kind, dirty_text(document.text, kind, other, config.seed)
    kind = CODE_KINDS[number % len(CODE_KINDS)]
    if kind == "minified":
        return kind, "".join(line.strip() + ";" for line in document.text.split("\n") if line.strip())
    if kind == "generated":
        return kind, "# This file was generated. Do not edit.\n" + document.text
    return kind, document.text[:2000] + "".join(map(chr, range(32))) * 4
