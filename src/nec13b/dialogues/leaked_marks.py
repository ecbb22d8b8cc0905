"""Marks of chat formats that have leaked into what people or models say.

A special token of ours in a message would end a turn if the template did not break it, and a broken one teaches nothing
good; the marks of other formats are what a careless export, or a model that talks on in its user's name, leaves behind.
"""

import re

# Whatever looks like a special token counts everywhere: <|im_end|>, <|eot_id|>, <｜end▁of▁sentence｜>.
SPECIAL_TOKEN = re.compile(r"<[|｜][^\s<>|｜]{1,40}[|｜]>")
# These may be spoken of in code: `<s>` is a tag of HTML.
FORMAT_MARK = re.compile(
    r"""
    \[/?INST\] | <</?SYS>> | </?s> | <(?:start|end)_of_turn> | \[gMASK\]             # LLaMA 2, Mistral, Gemma, GLM
    | ^\#{2,3}[ ]?(?:Instruction|Input|Response|Human|Assistant|User|System)[ ]?:             # Alpaca, Vicuna
    | ^\#{2,3}[ ]?(?:指示|入力|応答)[ ]?[:：]                                                  # Alpaca in Japanese
    """,
    re.VERBOSE | re.MULTILINE,
)
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)


def leaked_mark(text: str) -> str:
    """The first such mark in a text, or nothing."""
    if "<" not in text and "[" not in text and "##" not in text:
        return ""
    if found := SPECIAL_TOKEN.search(text):
        return found[0]
    found = FORMAT_MARK.search(CODE.sub(" ", text))
    return found[0] if found else ""


def without_code(text: str) -> str:
    """The text without what stands in backticks."""
    return CODE.sub(" ", text)
