"""Messages as Markdown for the web page, in which HTML and pictures are shown as what was written, not obeyed.

The page's own library cleans HTML of scripts. That is not enough: a tag that was written should be read, not vanish,
and a picture would be fetched from wherever the text says, which tells that place that somebody reads it.
"""

import re

from markdown_it import MarkdownIt

_BLOCKS = MarkdownIt("commonmark", {"html": False})
_INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$:=^>@])")


def literal(text: str) -> str:
    """Markdown that shows a text exactly as it is, for what a person wrote."""
    lines = []
    for line in text.split("\n"):
        line = line.expandtabs(4)
        bare = line.lstrip(" ")
        indent = "\u00a0" * (len(line) - len(bare))
        lines.append(indent + _MARKS.sub(r"\\\1", _without_html(bare)))
    # Empty lines would part paragraphs, and drop all but one of several.
    return "\n".join(line or "\u00a0" for line in lines)


def harmless(text: str) -> str:
    """The Markdown of a model with its lists, tables and code, but without HTML and pictures outside of code."""
    lines = text.split("\n")
    code = [False] * len(lines)
    for token in _BLOCKS.parse(text):
        if token.type in ("fence", "code_block") and token.map:
            code[token.map[0] : token.map[1]] = [True] * (token.map[1] - token.map[0])
    parts, start = [], 0
    for i in range(1, len(lines) + 1):
        if i == len(lines) or code[i] != code[start]:
            part = "\n".join(lines[start:i])
            parts.append(part if code[start] else _outside_blocks(part))
            start = i
    return "\n".join(parts)


def _outside_blocks(text: str) -> str:
    parts, end = [], 0
    for match in _INLINE_CODE.finditer(text):
        parts += [_plain(text[end : match.start()]), match.group(0)]
        end = match.end()
    return "".join([*parts, _plain(text[end:])])


def _plain(text: str) -> str:
    return _without_html(text).replace("![", "!\\[")


def _without_html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
