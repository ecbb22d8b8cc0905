"""Normalisation that does not destroy Japanese text.

Every character that this module changes, it changes because two spellings of one thing would otherwise become two
tokens; where a change could lose something (a name's glyph, a circled number, a superscript), it is not made:

- Unicode form C, but not for CJK compatibility ideographs: form C would replace 神 (U+FA19), as it stands in somebody's
  name, by 神 (U+795E). Form KC is not used: it makes ㈱ into (株), ① into 1 and 10² into 102.
- Full-width letters and digits become ASCII, half-width katakana become full-width; full-width punctuation stays.
- Control characters, byte order marks, zero-width spaces and text direction marks go; joiners that shape emoji and
  variation selectors that choose a kanji's glyph stay.
- Line ends become \\n, spaces at the ends of lines go, at most one empty line stays between paragraphs.
- A sign repeated for emphasis is kept three times at most, …… and ―― twice; headings and rulers of Markdown stay.

Source code is never passed through here.
"""

import re
import unicodedata

# Searched for one after another: translating whole texts by a table is ten times slower.
COMPATIBILITY_IDEOGRAPHS = re.compile(r"([\uf900-\ufaff\U0002f800-\U0002fa1f]+)")
FULL_WIDTH_ALPHANUMERICS = {code: code - 0xFEE0 for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B),
                                                             *range(0xFF41, 0xFF5B))}  # fmt: skip
FULL_WIDTH = re.compile(r"[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a][\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]*")
HALF_WIDTH_KANA = re.compile(r"[\uff61-\uff9f][\uff61-\uff9f]*")
# C0 and C1 controls but tab and newline; soft hyphen, zero-width space, direction marks, word joiner and invisible
# operators, byte order mark, interlinear annotation marks.
INVISIBLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)
LINE_END = re.compile(r"[\r\x0b\x0c\x85\u2028\u2029]")  # besides \r\n
# The look behind keeps it from trying anew at every space of a long row of them. It comes second, since an expression
# that begins with a character or a set, not repeated, is searched for several times as fast.
TRAILING_SPACE = re.compile(r"[ \t\u00a0\u3000](?<![ \t\u00a0\u3000]{2})[ \t\u00a0\u3000]*$", re.MULTILINE)
EMPTY_LINES = re.compile(r"\n\n\n+")
# What people repeat: exclamation and question marks, stops, long vowels and waves, laughter.
REPEATED = re.compile(r"([!?！？。、,，.．・〜~ー＝＊＃笑草]|[wｗ])\1{3,}")
# At the beginning of a line these are headings, rulers and fences of Markdown.
REPEATED_IN_LINE = re.compile(r"([=\-_*#])(?<=[^\n=\-_*#][=\-_*#])\1{3,}")
REPEATED_PAIR_SIGN = re.compile(r"([…‥―─])\1{2,}")


def normalise(text: str) -> str:
    """The text with one spelling for each thing; see the module. Applying it twice changes nothing more."""
    text = LINE_END.sub("\n", text.replace("\r\n", "\n"))
    text = INVISIBLE.sub("", text)
    text = HALF_WIDTH_KANA.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    text = FULL_WIDTH.sub(lambda match: match[0].translate(FULL_WIDTH_ALPHANUMERICS), text)
    if not unicodedata.is_normalized("NFC", text):
        # The parts between compatibility ideographs, which stand at the odd places.
        parts = COMPATIBILITY_IDEOGRAPHS.split(text)
        parts[::2] = (unicodedata.normalize("NFC", part) for part in parts[::2])
        text = "".join(parts)
    text = REPEATED_PAIR_SIGN.sub(r"\1\1", text)
    text = REPEATED.sub(r"\1\1\1", text)
    text = REPEATED_IN_LINE.sub(r"\1\1\1", text)
    text = TRAILING_SPACE.sub("", text)
    return EMPTY_LINES.sub("\n\n", text).strip("\n")
