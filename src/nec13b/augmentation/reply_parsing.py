"""What a model was asked to write, out of what it wrote: an instruction, or a grade.

Models are asked for tags and forget them, write a heading or quotation marks, think aloud, or put everything into a
block of code. Each of these is understood; what is left over is judged by the checks of an item.
"""

import json
import re
import unicodedata

_THOUGHT = re.compile(r"\A\s*<think>.*?(?:</think>|\Z)", re.DOTALL)
_TAGGED = re.compile(r"<\s*(指示|instruction)\s*>(.*?)(?:<\s*/\s*\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_END_TAG = re.compile(r"<\s*/\s*(?:指示|instruction)\s*>.*\Z", re.DOTALL | re.IGNORECASE)
_FENCED = re.compile(r"\A```[a-zA-Z]*\n(.*?)\n?```\Z", re.DOTALL)
_HEADING = re.compile(
    r"\A[\s#*＃【\[「<]*(?:新しい(?:指示|質問|依頼)|指示|質問|依頼|ユーザー(?:の発言)?"
    r"|(?:here is |here's )?(?:the |a |my |your )?(?:new |next |rewritten |revised |harder )?"
    r"(?:instruction|question|request|prompt|message|user(?:'s message)?))"
    r"[\s*】\]」>＃#]*[:：][\s*]*",
    re.IGNORECASE,
)
_QUOTES = (("「", "」"), ("『", "』"), ('"', '"'), ("“", "”"))
_JSON_FIELDS = ("instruction", "question", "prompt", "message", "指示", "質問")
_NAMED_SCORE = re.compile(
    r"(?:score|grade|rating|点数|採点|評価|得点|スコア)[^\d\n]{0,12}([1-5])(?![\d.]*[\d%])", re.IGNORECASE
)
_OF_FIVE = re.compile(r"(?<![\d.])([1-5])\s*(?:/|out of|点\s*/?\s*満点)\s*5(?!\d)", re.IGNORECASE)
_POINTS = re.compile(r"(?<![\d.])([1-5])\s*点(?!満点)")
_ALONE = re.compile(r"\A\D{0,3}([1-5])\D{0,3}\Z")


def without_thought(text: str) -> str:
    """The reply without the `<think>` block that reasoning models begin with; empty where that block never ends."""
    return _THOUGHT.sub("", text, count=1)


def written_instruction(text: str) -> str:
    """The instruction that a reply holds, stripped of tags, headings, quotation marks and code fences; may be empty."""
    text = text.strip()
    tagged = [match[2].strip() for match in _TAGGED.finditer(text)]
    if tagged:
        return _unquoted(next((piece for piece in tagged if piece), ""))
    text = _END_TAG.sub("", text).strip()  # the begin tag was forgotten
    if fenced := _FENCED.match(text):
        text = fenced[1].strip()
    if (named := _from_json(text)) is not None:
        return named.strip()
    return _unquoted(_HEADING.sub("", text, count=1).strip())


def written_score(text: str) -> int | None:
    """The grade from 1 to 5 that a reply ends with; None where it cannot be told.

    A named grade ("Score: 4", "点数：４") counts before "4/5" and "4点", and the last of a kind before earlier ones,
    since models repeat the scale before they come to the point. A number between two grades ("4.5") is none.
    """
    text = unicodedata.normalize("NFKC", text).strip()
    for pattern in (_NAMED_SCORE, _OF_FIVE, _POINTS):
        if found := pattern.findall(text):
            return int(found[-1])
    alone = _ALONE.match(text)
    return int(alone[1]) if alone else None


def _from_json(text: str) -> str | None:
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return next((value[name] for name in _JSON_FIELDS if isinstance(value.get(name), str)), None)


def _unquoted(text: str) -> str:
    """Without quotation marks around the whole; those that belong to its parts stay."""
    for left, right in _QUOTES:
        inner = text[1:-1]
        if len(text) > 2 and text[0] == left and text[-1] == right and left not in inner and right not in inner:
            return inner.strip()
    return text
