"""Dirty text made out of clean text: examples for the learned filter, and a corpus that shows the cleansing at work.

Each kind imitates one sort of debris of the web. All are random but repeatable: the same text, kind and seed give the
same result. What people have really written badly is better still; these kinds fill the gaps.
"""

import random
import re
from collections.abc import Callable, Iterable, Iterator

from .documents import Document

LONGEST = 1_200  # characters of the clean text that are dirtied; debris is short
SENTENCE = re.compile(r"[^。！？.!?\n]+[。！？.!?]?")
PHRASE = re.compile(r"[^、。！？,.!?;\n]+[、。！？,.!?;]?")
NOUN = re.compile(r"[\u3400-\u9fff々]{2,}|[\u30a1-\u30fe]{3,}|[A-Za-z]{4,}")

Kind = Callable[[str, str, random.Random], str]
KINDS: dict[str, Kind] = {}


def kind(function: Kind) -> Kind:
    """Makes a function known under its name; it takes a text, another text to mix in, and the source of chance."""
    KINDS[function.__name__] = function
    return function


def dirty_text(text: str, name: str, other: str = "", seed: int | str = 0) -> str:
    """The text, or a stretch of it, made dirty in one way; may be empty where the text offers nothing to work with.

    Args:
        text: clean text.
        name: one of KINDS.
        other: another clean text, of which some kinds mix parts in.
        seed: decides, with text and kind, what comes out.
    """
    rng = random.Random(f"{seed}/{name}/{len(text)}/{text[:200]}")
    return KINDS[name](_stretch(text, rng), _stretch(other, rng), rng)


def dirtied_documents(
    documents: Iterable[Document], kinds: Iterable[str] | None = None, seed: int = 0
) -> Iterator[tuple[str, Document, str]]:
    """One dirty text of each kind for every document.

    Yields:
        (kind, the clean document, the dirty text).
    """
    kinds, before = list(kinds or KINDS), ""
    for document in documents:
        for name in kinds:
            dirty = dirty_text(document.text, name, before, seed)
            if dirty.strip():
                yield name, document, dirty
        before = document.text


def _stretch(text: str, rng: random.Random) -> str:
    if len(text) <= LONGEST:
        return text
    start = rng.randrange(len(text) - LONGEST)
    return text[start : start + LONGEST]


def _sentences(text: str, least: int = 5) -> list[str]:
    return [sentence for match in SENTENCE.findall(text) if len(sentence := match.strip()) >= least]


def _nouns(text: str) -> list[str]:
    return list(dict.fromkeys(NOUN.findall(text)))


@kind
def shuffled_lines(text: str, other: str, rng: random.Random) -> str:
    """Phrases of one or two texts in random order, as spinning programs and broken extractors leave them."""
    phrases = [phrase for phrase in PHRASE.findall(text) if len(phrase.strip()) > 3]
    if rng.random() < 0.5:
        phrases += [phrase for phrase in PHRASE.findall(other) if len(phrase.strip()) > 3]
    rng.shuffle(phrases)
    return rng.choice(["\n", "", " "]).join(phrases)


@kind
def keyword_stuffing(text: str, other: str, rng: random.Random) -> str:
    """Nouns in a row, some of them again and again, as pages are written for search engines."""
    words = _nouns(text)
    if not words:
        return ""
    row = [rng.choice(words) for _ in range(rng.randint(20, 120))]
    if rng.random() < 0.4:
        keys = rng.sample(words, min(3, len(words)))
        row = [word if rng.random() < 0.6 else f"{rng.choice(keys)} {word}" for word in row]
    return rng.choice(["、", "｜", " / ", "\n", " ", "・", ", ", "★", "】【"]).join(row)


@kind
def mojibake(text: str, other: str, rng: random.Random) -> str:
    """Bytes read in the wrong encoding; what that cannot represent is lost."""
    written_in, read_as = rng.choice(
        [("utf-8", "cp932"), ("utf-8", "latin-1"), ("euc_jp", "cp932"), ("cp932", "latin-1"), ("utf-8", "cp1252")]
    )
    return text.encode(written_in, "ignore").decode(read_as, "ignore")


@kind
def truncated_sentences(text: str, other: str, rng: random.Random) -> str:
    """Beginnings of sentences, as lists of previews show them."""
    sentences = _sentences(text, 12)
    rng.shuffle(sentences)
    end = rng.choice(["…", "...", "…続きを読む", "[...]", "… Read more", ""])
    cut = (sentence[: rng.randint(8, max(9, min(40, len(sentence) - 2)))] + end for sentence in sentences)
    return rng.choice(["\n", "\n\n"]).join(cut)


@kind
def machine_repetition(text: str, other: str, rng: random.Random) -> str:
    """A few sentences over and over, with nouns exchanged, as templates and bad language models write."""
    sentences, words = _sentences(text, 8)[: rng.randint(1, 4)], _nouns(text)[:30]
    if not sentences or not words:
        return ""
    lines = []
    for _ in range(rng.randint(8, 40)):
        sentence = rng.choice(sentences)
        if rng.random() < 0.5:
            sentence = NOUN.sub(lambda noun: rng.choice(words) if rng.random() < 0.5 else noun[0], sentence)
        lines.append(sentence)
    return rng.choice(["", "\n", " "]).join(lines)


@kind
def link_list(text: str, other: str, rng: random.Random) -> str:
    """Titles with numbers, dates, bars and brackets around them: navigation, archives, tables of links."""
    titles = [sentence[: rng.randint(6, 28)] for sentence in _sentences(text)]
    if not titles:
        return ""
    style = rng.randrange(7)
    lines = []
    for _ in range(rng.randint(10, 60)):
        title, number = rng.choice(titles), rng.randint(1, 999)
        lines.append(
            (
                f"・{title}({number})",
                f"{title} | ",
                f"20{number % 24:02d}/{number % 12 + 1}/{number % 28 + 1} {title}",
                f"[{title}](/{number}.html)",
                f"» {title}",
                f"| {title} | {number} | {rng.choice(titles)[:8]} |",
                f"{number}. {title} - https://www.site{number}.jp/{number}",
            )[style]
        )
    return ("" if style == 1 else "\n").join(lines)


MARKUP = (
    '<div class="c{}">', "</div>", "<br />", "&nbsp;", '<a href="/p/{}">', "</a>", '<span style="width:{}px">',
    "{{{{{}}}}}", "[[File:{}.jpg]]", "&#{};", "var _{}=function(){{", "}});", "<td>", "</td></tr>", ".c{}{{margin:0}}",
)  # fmt: skip


@kind
def markup_debris(text: str, other: str, rng: random.Random) -> str:
    """Text with pieces of HTML, wiki markup, style sheets and scripts left in it."""
    pieces = []
    for phrase in PHRASE.findall(text):
        pieces.append(phrase)
        pieces += (rng.choice(MARKUP).format(rng.randint(1, 999)) for _ in range(rng.randint(0, 3)))
    return "".join(pieces)


@kind
def chatter(text: str, other: str, rng: random.Random) -> str:
    """Short remarks one after another without thread, as on bulletin boards."""
    remarks = [sentence.strip("「」。. \u3000") for sentence in _sentences(text + "\n" + other)]
    remarks = [remark for remark in remarks if 3 < len(remark) < 40]
    rng.shuffle(remarks)
    lines = []
    for remark in remarks[: rng.randint(5, 40)]:
        remark += rng.choice(
            ["", "", "", "w", "ww", "www", "笑", "！！", "？", "…", "やろ", "だよな", "(笑)", "んだが", " lol"]
        )
        lines.append(f">>{rng.randint(1, 999)} {remark}" if rng.random() < 0.15 else remark)
    return "\n".join(lines)
