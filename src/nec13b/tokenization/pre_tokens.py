"""Where text is cut before BPE: a token never spans two pre-tokens.

Japanese has no spaces, and each way of cutting it costs something. A run of kanji, hiragana and katakana stays in one
piece here, up to the next mark, space, digit or foreign letter: so BPE finds words with their endings (返します,
日本の) by itself, and by measurement no way of cutting at the change of script compresses as well on the whole
(benchmarks/RESULTS.md, "Tokenizer: what was chosen"). Words of other scripts carry the space before them, or the _ or
. of an identifier. Digits stand alone, so that a number has one form and its places can be learnt.

The pattern is written once and read by two engines: Oniguruma in the tokenizer, the package `regex` where training
counts pre-tokens.
"""

import regex

JAPANESE = r"\p{Han}\p{Hiragana}\p{Katakana}ー〆"
PATTERN = "|".join(
    [
        r"'(?i:[sdmt]|ll|ve|re)(?!\p{L})",  # English contractions
        rf"[{JAPANESE}]+",
        rf"[ _.]?[\p{{L}}\p{{M}}&&[^{JAPANESE}]]+",
        r"\p{N}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",  # marks, with the line's end
        r"\s*[\r\n]+",
        r"\s+(?!\S)",  # indentation, all but the space that belongs to the next word
        r"\s+",
    ]
)
_COMPILED = regex.compile(PATTERN, regex.V1)


def pre_tokens(text: str) -> list[str]:
    """The pre-tokens of a text in order; joined they are the text."""
    return _COMPILED.findall(text)
