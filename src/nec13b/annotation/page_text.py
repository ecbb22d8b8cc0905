"""Text of models and of the web as a page shows it: every character as what it is, none obeyed.

Jinja escapes HTML. Beyond that, some characters do not show and still act: marks of direction turn a line around,
others have no width and hide words or letters. They appear as their names.
"""

import re
import unicodedata

from markupsafe import Markup, escape

JOINERS = "\u200c\u200d"  # of emoji, and of scripts that join their letters
NAMES = {
    "\u200b": "ZWSP", "\u200e": "LRM", "\u200f": "RLM", "\u061c": "ALM", "\u202a": "LRE", "\u202b": "RLE",
    "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO", "\u2060": "WJ", "\u2066": "LRI", "\u2067": "RLI",
    "\u2068": "FSI", "\u2069": "PDI", "\ufeff": "BOM", "\u00ad": "SHY", "\x00": "NUL", "\x1b": "ESC", "\x7f": "DEL",
}  # fmt: skip
# Letters by their class, and yet nothing is to be seen of them.
BLANK = "\u115f\u1160\u3164\uffa0\u2800\u2028\u2029"
_SUSPECT = re.compile(rf"[^\n\t -~ぁ-ヿ一-鿿]|[{BLANK}]")


def marked(text: str) -> Markup:
    """HTML that shows a text as it is, with what would not show as a small label."""
    parts, end = [], 0
    for match in _SUSPECT.finditer(text):
        character = match.group()
        if character in BLANK or (
            unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co") and character not in JOINERS
        ):
            name = NAMES.get(character, f"U+{ord(character):04X}")
            parts += [escape(text[end : match.start()]), Markup('<span class="mark">'), name, Markup("</span>")]
            end = match.end()
    return Markup("").join([*parts, escape(text[end:])])
