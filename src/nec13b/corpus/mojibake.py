"""Broken encodings: text whose bytes were once read in the wrong encoding (mojibake), found and, where possible,
undone.

Japanese has four encodings that were mixed up for decades, and each mix-up leaves its own traces: UTF-8 read as
Shift_JIS is full of 縺, 繧 and 繝; EUC-JP read as Shift_JIS of half-width ､ before half-width kana; and either read as
Latin-1 of ã, ‚ or ¤. Where the wrong reading lost nothing, encoding the text back and decoding it rightly restores it.
This has to be done before normalisation, which would turn the traces into innocent characters.
"""

import re
from dataclasses import dataclass

# Windows-1252 has letters and signs where Latin-1 has control characters; pages mix both readings.
WINDOWS_1252 = {
    ord(bytes([byte]).decode("cp1252")): byte
    for byte in range(0x80, 0xA0)
    if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}
HIGH = "".join(map(chr, WINDOWS_1252))
CONTINUATION = rf"[\x80-\xbf{HIGH}]"
REPLACEMENT = "\ufffd"
LEAST_TRACES = 3  # a broken sentence has dozens; 縺れ and « é » occur in honest text


@dataclass(frozen=True)
class Mixup:
    """One way of reading bytes wrongly.

    Attributes:
        traces: what it leaves behind.
        read_as: the encoding the bytes were read in.
        written_in: the encoding they were written in.
    """

    traces: re.Pattern
    read_as: str
    written_in: str


MIXUPS = (
    Mixup(re.compile(rf"[\xe2-\xe9]{CONTINUATION}{CONTINUATION}"), "latin-1", "utf-8"),
    Mixup(re.compile("[縺繧繝].?"), "cp932", "utf-8"),
    Mixup(re.compile(r"(?:[､･][\uff66-\uff9f]){2,}"), "cp932", "euc_jp"),
    Mixup(re.compile(rf"(?:[\x82\x83‚ƒ][\x40-\xff{HIGH}]){{2,}}"), "latin-1", "cp932"),
    Mixup(re.compile(r"(?:[¤¥][\xa1-\xfe]){2,}"), "latin-1", "euc_jp"),
    Mixup(re.compile("(?:・ｽ|ï¿½)+"), "cp932", ""),  # U+FFFD itself, read wrongly: nothing is left to restore
)
SUSPICIOUS = re.compile(f"[{REPLACEMENT}縺繧繝､･ｽ‚ƒ¤\x80-\x9f\xe2-\xe9\xef]")


def broken_share(text: str) -> float:
    """Share of the characters, 0 to 1, that are traces of the commonest mix-up, or replacement characters."""
    return _broken(text)[0]


def broken_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of the traces of the commonest mix-up and of replacement characters, in order."""
    _, mixup = _broken(text)
    spans = [match.span() for match in mixup.traces.finditer(text)] if mixup else []
    return sorted({*spans, *(match.span() for match in re.finditer(f"{REPLACEMENT}+", text))})


def repair_mojibake(text: str) -> tuple[str, float]:
    """Undoes a mix-up of encodings where it can be undone for the whole text.

    Returns:
        (the restored text, or the text as it was; the share of broken characters in it, 0 to 1).
    """
    share, mixup = _broken(text)
    if mixup is not None and mixup.written_in:
        restored = _read_again(text, mixup)
        if restored is not None:
            left = broken_share(restored)
            if left < share / 10:
                return restored, left
    return text, share


def _broken(text: str) -> tuple[float, Mixup | None]:
    if not SUSPICIOUS.search(text):
        return 0.0, None
    worst, guilty = 0, None
    for mixup in MIXUPS:
        traces = mixup.traces.findall(text)
        count = sum(map(len, traces))
        if len(traces) >= LEAST_TRACES and count > worst:
            worst, guilty = count, mixup
    return (worst + text.count(REPLACEMENT)) / len(text), guilty


def _read_again(text: str, mixup: Mixup) -> str | None:
    if mixup.read_as == "latin-1":
        text = text.translate(WINDOWS_1252)
    try:
        return text.encode(mixup.read_as).decode(mixup.written_in)
    except (UnicodeEncodeError, UnicodeDecodeError):
        return None
