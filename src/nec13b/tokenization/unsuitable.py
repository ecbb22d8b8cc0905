"""Which tokens are unsuitable as tokens (section 2(2) of the paper): the classes, each with its test.

A token earns its place by standing for something that many texts share. What stands for the accidents of a corpus - its
addresses, its names, its broken encodings, its ornamental lines - costs a row of the embedding, is hardly ever seen in
training, and lets a model repeat what it should not. The text itself is not touched: it is written with smaller tokens.

The tests here look at one token alone. `removal.py` adds those that need a corpus: rare tokens, and variants by width
or case that do not pay.
"""

import itertools
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import regex

from ..corpus.mojibake import MIXUPS
from ..corpus.phrases import PhraseLists, own_phrases, read_phrases
from ..errors import InputError
from .pre_tokens import JAPANESE

# Longest run of one character that a token may be: wwww and ====== are as long as somebody held down a key.
LONGEST_RUN = {"letter": 3, "mark": 4, "space": 16}
SURNAMES = Path(__file__).parent / "surnames.txt"
PHRASE_CATEGORIES = ("adult", "advertisement", "discrimination", "generated", "placeholder")

HONORIFIC = "さん|さま|くん|ちゃん|氏|様|君|殿|先生|女史|嬢|夫人|選手|議員|監督|教授|博士|被告|容疑者"
# Whom one calls さん without knowing the name: kin, roles (…屋さん, …者さん), and everybody.
NO_NAME = (
    "父|母|兄|姉|弟|妹|爺|婆|祖父|祖母|叔父|伯父|叔母|伯母|子|娘|息子|孫|嫁|婿|旦那|奥|赤|坊|嬢|客|皆|神|仏|王|王子|姫|殿|"
    "若|親|隣|患者|学生|先輩|職人|大家|仲居|舞妓|芸妓|芸者|坊主|何|沢山|誰|御前"
)
NAMED = re.compile(
    rf"(?:^|[のはがをにとも、])(?!(?:お|御)?(?:{NO_NAME})(?:さん|ちゃん|くん)|[一-龥]*[屋者員師官長様](?:さん|ちゃん|くん))"
    r"(?:[一-龥々ヶ]{1,4}|[ァ-ヴー]{2,})(?:さん|ちゃん|くん)"
)
NAMELESS = re.compile("名無し|匿名希望|風吹けば")

ADDRESS = regex.compile(
    r"(?i)://|//[\w]|^[ _.]?(?:https?|ftps?|www\d?|mailto|href|gmail|hotmail|ezweb|docomo)$"
    r"|^\.(?:com|org|net|edu|gov|info|biz|co|ac|go|ne|or|jp|uk|de|fr|cn|kr|us|html?|php|cgi|aspx?|jsp)$"
    r"|\w@|@\w|^[ _.]?(?:tel|fax)$|^〒"
)
NUMERAL = "〇一二三四五六七八九十百千万億兆"
NUMBER = regex.compile(
    rf"\p{{N}}[\p{{N}},.:/年月日-]*\p{{Nd}}|[{NUMERAL}]{{3,}}|[{NUMERAL}]{{2}}[年月日]|[{NUMERAL}]月[{NUMERAL}]"
)

LETTERS = {
    "Japanese": regex.compile(rf"[{JAPANESE}]", regex.V1),
    "Latin": regex.compile(r"[\p{Latin}]"),
    "other": regex.compile(rf"[\p{{L}}&&[^\p{{Latin}}{JAPANESE}]]", regex.V1),
}
# One space, or the sign that begins or joins identifiers, may stand before a word; an apostrophe in English
# contractions.
WORD = regex.compile(r"(?:[ _.]|')?[\p{L}\p{M}]+", regex.V1)
HAS_LETTER, HAS_MARK = regex.compile(r"\p{L}"), regex.compile(r"[^\p{L}\p{M}\p{N}]")
BYTE_NAME = re.compile(r"<0x[0-9A-F]{2}>")
LATIN_MOJIBAKE = re.compile(
    r"[ÃÂ][\x80-ÿ‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|[ãåæçèé][\x80-\xbf‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|ï[¼½»¿]"
)
REPEATED_UNIT = re.compile(r"(.{2,4}?)\1{2,}", re.DOTALL)


@dataclass(frozen=True)
class TokenClass:
    """One class of unsuitable tokens.

    Attributes:
        name: as settings and reports call it.
        description: what it holds, for people.
        holds: whether a token belongs to it; None for the classes that need a corpus to tell.
    """

    name: str
    description: str
    holds: Callable[[str], bool] | None


def is_byte_fragment(token: str) -> bool:
    """A piece of a character, or ordinary text that spells the name of a byte token."""
    return "\ufffd" in token or bool(BYTE_NAME.search(token)) or any("\ud800" <= c <= "\udfff" for c in token)


def is_control(token: str) -> bool:
    """Control, format, private-use and unassigned characters; tabulators and line feeds are none."""
    return any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Cn") and c not in "\t\n" for c in token)


def is_mojibake(token: str) -> bool:
    """Traces of text that was read in a wrong encoding."""
    return any(mixup.traces.search(token) for mixup in MIXUPS) or bool(LATIN_MOJIBAKE.search(token))


def is_mixed(token: str) -> bool:
    """Letters of two scripts, or letters and marks across the border of a word."""
    if not HAS_LETTER.search(token):
        return False
    if sum(bool(letters.search(token)) for letters in LETTERS.values()) > 1:
        return True
    if not HAS_MARK.search(token):
        return False
    return not WORD.fullmatch(token) or bool(LETTERS["Japanese"].search(token))


def is_repeat(token: str) -> bool:
    """One character again and again, or a group of two to four characters."""
    run = 1
    for before, character in itertools.pairwise(token):
        run = run + 1 if character == before else 1
        kind = "space" if character.isspace() else "letter" if character.isalnum() else "mark"
        if run > LONGEST_RUN[kind]:
            return True
    return not token.isspace() and len(set(token)) > 1 and bool(REPEATED_UNIT.search(token))


def is_address(token: str) -> bool:
    """Pieces of URLs, mail addresses and phone numbers."""
    return bool(ADDRESS.search(token))


def is_number(token: str) -> bool:
    """More than one digit, and numbers and dates in kanji that are as particular."""
    return bool(NUMBER.search(token))


class _Named:
    """Personal names with what people are called by, and names of nobody on bulletin boards."""

    def __init__(self):
        surnames = "|".join(sorted(read_phrases(SURNAMES), key=len, reverse=True))
        self.pattern = re.compile(rf"(?:{surnames})(?:{HONORIFIC})")

    def __call__(self, token: str) -> bool:
        return bool(self.pattern.search(token) or NAMED.search(token) or NAMELESS.search(token))


class _Phrases:
    """Phrases of advertisement, pornography, abuse and machines, from word lists."""

    def __init__(self, word_lists: Mapping[str, str | list[str]] | None = None):
        own = own_phrases()
        phrases = {category: list(own.get(category, [])) for category in PHRASE_CATEGORIES}
        for category, paths in (word_lists or {}).items():
            for path in [paths] if isinstance(paths, str) else paths:
                phrases.setdefault(category, []).extend(read_phrases(path))
        self.lists = PhraseLists(phrases)

    def __call__(self, token: str) -> bool:
        return bool(self.lists.find(token))


RARE, VARIANT, UNREACHABLE = "rare", "variant", "unreachable"


def token_classes(word_lists: Mapping[str, str | list[str]] | None = None) -> list[TokenClass]:
    """All classes; a token belongs to the first that holds it.

    Args:
        word_lists: files of more phrases by category.

    Raises:
        InputError: a list cannot be read.
    """
    return [
        TokenClass("byte_fragment", "pieces of characters, and names of bytes spelt out", is_byte_fragment),
        TokenClass("control", "control, format, private-use and unassigned characters", is_control),
        TokenClass("mojibake", "traces of a wrong encoding", is_mojibake),
        TokenClass("repeat", "one character or a group of them, again and again", is_repeat),
        TokenClass("number", "numbers and dates of several digits or numerals", is_number),
        TokenClass("address", "pieces of URLs, mail addresses and phone numbers", is_address),
        TokenClass("mixed", "several scripts, or marks and letters across the border of a word", is_mixed),
        TokenClass("phrase", "advertisement, pornography, abuse, text of machines", _Phrases(word_lists)),
        TokenClass("person", "personal names with さん, 氏 and the like; names of nobody", _Named()),
        TokenClass(RARE, "tokens that too few documents use", None),
        TokenClass(VARIANT, "the same by width or case as another token, and used too little to pay", None),
        TokenClass(UNREACHABLE, "tokens that no text is encoded to once others are gone", None),
    ]


def wanted_classes(keep: list[str], word_lists: Mapping[str, str | list[str]] | None = None) -> list[TokenClass]:
    """The classes that are removed, all but those in `keep`.

    Raises:
        InputError: `keep` names no class, or one that cannot be kept.
    """
    classes = token_classes(word_lists)
    names = [each.name for each in classes if each.name != UNREACHABLE]
    for name in keep:
        if name not in names:
            raise InputError(f"keep_classes: {name!r} is no class of unsuitable tokens; they are {', '.join(names)}")
    return [each for each in classes if each.name not in keep]


def folded(token: str) -> str:
    """What a token is but for width and case."""
    return unicodedata.normalize("NFKC", token).lower()
