"""Japanese in figures: matplotlib ships no font that has kana and kanji, so one of the system's is found and used.

A figure whose labels hold Japanese is drawn within `with japanese_labels() as can:`. Where no font is found, `can` is
False, and the figure takes Latin labels and says so by `NO_FONT_NOTE`, instead of boxes in place of characters.
"""

import contextlib
import functools
import unicodedata
import warnings
from collections.abc import Iterator

# The sans-serif families that systems have or people install, the plainest first.
FAMILIES = (
    "Noto Sans CJK JP", "Noto Sans JP", "Source Han Sans JP", "Source Han Sans", "IPAexGothic", "IPAGothic",
    "TakaoPGothic", "TakaoGothic", "VL PGothic", "VL Gothic", "M+ 1p", "Hiragino Sans", "Hiragino Kaku Gothic ProN",
    "Yu Gothic", "Meiryo", "MS Gothic", "BIZ UDGothic", "Droid Sans Fallback", "Noto Serif CJK JP", "IPAexMincho",
)  # fmt: skip
NO_FONT_NOTE = "no Japanese font found: install Noto Sans CJK (Debian: fonts-noto-cjk) or IPAexGothic for such labels"
SAMPLE = "日本語カナひら漢字ー、。"


@functools.cache
def japanese_family() -> str | None:
    """The name of a font family with Japanese that matplotlib can use on this machine; None where there is none.

    matplotlib keeps a list of fonts from its first start; fonts that came later are looked for and added.
    """
    from matplotlib import font_manager

    if (known := _first_known()) is None:
        listed = {entry.fname for entry in font_manager.fontManager.ttflist}
        for path in font_manager.findSystemFonts():
            if path not in listed:
                with contextlib.suppress(Exception):  # a file that is damaged, or of a format it does not read
                    font_manager.fontManager.addfont(path)
        known = _first_known()
    return known


def _first_known() -> str | None:
    from matplotlib import font_manager, ft2font

    entries = {entry.name: entry for entry in reversed(font_manager.fontManager.ttflist)}
    for family in FAMILIES:
        if family not in entries:
            continue
        try:
            place = font_manager.findfont(font_manager.FontProperties(family=family), fallback_to_default=False)
            characters = ft2font.FT2Font(place, face_index=getattr(place, "face_index", 0)).get_charmap()
        except (ValueError, OSError, RuntimeError, TypeError):  # listed once, and gone since
            continue
        if all(ord(character) in characters for character in SAMPLE):
            return family
    return None


def is_wide(text: str) -> bool:
    """Whether the text holds characters that matplotlib's own font lacks: kana, kanji, full-width forms."""
    return any(unicodedata.east_asian_width(character) in "WF" for character in text)


def columns_of(text: str) -> int:
    """How many columns a text takes where kana and kanji take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


@contextlib.contextmanager
def japanese_labels() -> Iterator[bool]:
    """Within it, text of figures falls back on a Japanese font; the value says whether there is one.

    Both building and printing of the figure belong inside: fonts are looked up when it is printed.
    """
    import matplotlib

    family = japanese_family()
    settings = {"font.family": [*matplotlib.rcParams["font.family"], *([family] if family else [])],
                "axes.unicode_minus": False}  # fmt: skip
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        if family is None:
            warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield family is not None
