"""The messages of a row, in whichever of the common shapes it is written.

    messages     {"messages": [{"role": "user", "content": "..."}, ...]}, as OpenAI and trl have it; a bare list too
    sharegpt     {"conversations": [{"from": "human", "value": "..."}, ...]}
    alpaca       {"instruction": "...", "input": "...", "output": "...", "history": [["...", "..."]], "system": "..."}
    prompt       {"prompt": "..." or messages, "completion": "..."}, question and answer, and their like
    oasst        {"message_tree_id": "...", "prompt": {"text": "...", "role": "prompter", "replies": [...]}}
    oasst_table  {"message_id": "...", "parent_id": "...", "text": "...", "role": "assistant"}, a message a row

The first four are read here, the last two in `assistant_trees.py`. A shape is recognised by the fields a row has. What
is in the messages is not judged here, but by `dialogue_checks.py`; a role that nobody knows is passed on as it is.
"""

import json
from collections.abc import Iterable
from typing import Any

from ..tokenization.chat_template import TOOLS_HEAD, TOOLS_TAIL
from .dialogue import Message

SHAPES = ("messages", "sharegpt", "alpaca", "prompt", "oasst", "oasst_table")
ROLE_NAMES = {
    "user": ("user", "human", "prompter"),
    "assistant": ("assistant", "gpt", "chatgpt", "bot", "chatbot", "model", "ai", "bing", "bard", "function_call"),
    "system": ("system", "developer"),
    "tool": ("tool", "function", "observation", "function_response", "ipython"),
}
ROLES_BY_NAME = {name: role for role, names in ROLE_NAMES.items() for name in names}
# The first pair that a row has is taken; the plainer names come first.
PAIRS = tuple(
    (prompt, answer)
    for prompt in ("prompt", "question", "query", "instruction", "input", "text")
    for answer in ("completion", "response", "answer", "output")
)
SYSTEM_FIELDS = ("system", "system_prompt")


class NotADialogue(ValueError):
    """A row from which no messages can be made; says why."""


def shape_of_row(row: Any) -> str:
    """Which of SHAPES a row is written in; raises NotADialogue where it fits none."""
    if isinstance(row, list):
        return "messages"
    if not isinstance(row, dict):
        raise NotADialogue(f"a row is an object or a list of messages, not {kind_of(row)}")
    if isinstance(row.get("prompt"), dict) and "replies" in row["prompt"]:
        return "oasst"
    if "message_id" in row and "parent_id" in row and "text" in row:
        return "oasst_table"
    for name in ("messages", "conversations", "conversation"):
        if _is_there(row.get(name)):
            first = next(iter(_listed(row[name])), None)
            return "sharegpt" if isinstance(first, dict) and "from" in first else "messages"
    if "instruction" in row and ("output" in row or "response" in row):
        return "alpaca"
    if _pair(row):
        return "prompt"
    if "messages" in row or "conversations" in row:  # there, but empty
        return "messages"
    raise NotADialogue(f"no known shape; it has the fields {', '.join(map(str, row)) or '(none)'}")


def messages_of_row(row: Any, shape: str = "", prompt_field: str = "", answer_field: str = "") -> list[Message]:
    """The messages of a row.

    Args:
        row: what a file or data set holds.
        shape: `messages`, `sharegpt`, `alpaca` or `prompt`; empty: as recognised.
        prompt_field, answer_field: the fields of a prompt and its answer, where they are called otherwise.

    Raises:
        NotADialogue: the row does not have the shape.
    """
    if prompt_field or answer_field:
        shape = shape or "prompt"
    shape = shape or shape_of_row(row)
    if shape == "messages" and isinstance(row, list):
        return _messages(row)
    if not isinstance(row, dict):
        raise NotADialogue(f"a row of the shape {shape} is an object, not {kind_of(row)}")
    if shape in ("messages", "sharegpt"):
        name = next((n for n in ("messages", "conversations", "conversation") if _is_there(row.get(n))), "messages")
        if name not in row:
            raise NotADialogue("no field 'messages' or 'conversations'")
        messages = _messages(_listed(row[name]))
    elif shape == "alpaca":
        messages = _alpaca(row)
    elif shape == "prompt":
        messages = _prompted(row, prompt_field, answer_field)
    else:
        raise NotADialogue(f"unknown shape {shape!r}; known are {', '.join(SHAPES)}")
    name = next((name for name in SYSTEM_FIELDS if _is_there(row.get(name))), "")
    if name and not (messages and messages[0]["role"] == "system"):
        messages = [Message(role="system", content=_text(row[name], f"field {name!r}")), *messages]
    return with_tools(messages, row.get("tools"))


def role_named(name: Any) -> str:
    """The role that a name means; a name that nobody knows stays as it is."""
    name = str(name).strip()
    return ROLES_BY_NAME.get(name.lower(), name)


def with_tools(messages: list[Message], tools: Any) -> list[Message]:
    """The messages with the tools told in the system message, in the very words of the chat template.

    Args:
        messages: of a dialogue.
        tools: a list of JSON schemas, or that list written as JSON; nothing changes where it is empty.

    Raises:
        NotADialogue: it is neither.
    """
    if not tools:
        return messages
    if isinstance(tools, str):
        try:
            tools = json.loads(tools)
        except ValueError:
            raise NotADialogue("field 'tools' is not JSON") from None
    if not isinstance(tools, list):
        raise NotADialogue("field 'tools' is not a list")
    told = TOOLS_HEAD + "".join(json.dumps(tool, ensure_ascii=False) + "\n" for tool in tools) + TOOLS_TAIL
    if messages and messages[0]["role"] == "system":
        return [Message(role="system", content=f"{messages[0]['content']}\n\n{told}"), *messages[1:]]
    return [Message(role="system", content=told), *messages]


def kind_of(value: Any) -> str:
    """What a value is, in the words of JSON."""
    for types, words in ((dict, "an object"), (list, "a list"), (str, "a text"), (bool, "true or false")):
        if isinstance(value, types):
            return words
    return "a number" if isinstance(value, (int, float)) else "nothing" if value is None else type(value).__name__


def _is_there(value: Any) -> bool:
    return value is not None and value != "" and value != [] and value != {}


def _listed(value: Any) -> list:
    """A list of messages, which some data sets write as JSON, and older versions of `datasets` as lists by field."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise NotADialogue("the messages are a text, not a list") from None
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        value = [dict(zip(value, items)) for items in zip(*value.values())]
    if not isinstance(value, list):
        raise NotADialogue(f"the messages are {kind_of(value)}, not a list")
    return value


def _messages(items: Iterable[Any]) -> list[Message]:
    return [_message(item, number) for number, item in enumerate(items, start=1)]


def _message(item: Any, number: int) -> Message:
    if not isinstance(item, dict):
        raise NotADialogue(f"message {number} is {kind_of(item)}, not an object")
    name = next((item[n] for n in ("role", "from") if _is_there(item.get(n))), None)
    if name is None:
        raise NotADialogue(f"message {number} has no role")
    content = next((item[n] for n in ("content", "value", "text") if item.get(n) is not None), "")
    content = _text(content, f"message {number}")
    if str(name).strip().lower() == "function_call":
        content = f"<tool_call>\n{content}\n</tool_call>"
    calls = item.get("tool_calls") or []
    if not isinstance(calls, list):
        raise NotADialogue(f"message {number}: its tool_calls are no list")
    return Message(role=role_named(name), content="\n".join(filter(None, [content, *map(_tool_call, calls)])))


def _tool_call(call: Any) -> str:
    """A call of a tool as the chat template writes it."""
    call = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        raise NotADialogue("a tool call has no name")
    name, arguments = json.dumps(call["name"], ensure_ascii=False), call.get("arguments", {})
    arguments = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return f'<tool_call>\n{{"name": {name}, "arguments": {arguments}}}\n</tool_call>'


def _text(content: Any, what: str) -> str:
    """A content, which may be written as a list of parts, as text."""
    if isinstance(content, (int, float)) and not isinstance(content, bool):
        return str(content)
    if isinstance(content, list):
        pieces = [part if isinstance(part, str) else _text_of_part(part, what) for part in content]
        return "\n".join(pieces)
    if not isinstance(content, str):
        raise NotADialogue(f"{what} holds {kind_of(content)}, not a text")
    return content


def _text_of_part(part: Any, what: str) -> str:
    if not isinstance(part, dict) or not isinstance(part.get("text"), str):
        kind = part.get("type", "part without text") if isinstance(part, dict) else kind_of(part)
        raise NotADialogue(f"{what} holds more than text ({kind})")
    return part["text"]


def _alpaca(row: dict) -> list[Message]:
    messages: list[Message] = []
    history = row.get("history") or []
    if not isinstance(history, list):
        raise NotADialogue("field 'history' is not a list")
    for number, exchange in enumerate(history, start=1):
        if not isinstance(exchange, (list, tuple)) or len(exchange) != 2:
            raise NotADialogue(f"entry {number} of field 'history' is not a pair of question and answer")
        messages += _exchange(*(_text(said, f"entry {number} of field 'history'") for said in exchange))
    answer = "output" if "output" in row else "response"
    if "instruction" not in row or answer not in row:
        raise NotADialogue("no fields 'instruction' and 'output'")
    names = ["instruction", next((name for name in ("input", "context") if _is_there(row.get(name))), "")]
    asked = [_text(row[name], f"field {name!r}") for name in names if _is_there(row.get(name))]
    return messages + _exchange("\n\n".join(asked), _text(row.get(answer) or "", f"field {answer!r}"))


def _prompted(row: dict, prompt_field: str, answer_field: str) -> list[Message]:
    pair = _pair(row, prompt_field, answer_field)
    if pair is None:
        missing = [name for name in (prompt_field, answer_field) if name and name not in row]
        raise NotADialogue(f"no field {missing[0]!r}" if missing else "no fields of a prompt and its answer")
    prompt, answer = (row[name] for name in pair)
    messages: list[Message] = []
    for value, role, name in ((prompt, "user", pair[0]), (answer, "assistant", pair[1])):
        if isinstance(value, list) and value and isinstance(value[0], dict):
            messages += _messages(value)
        else:
            messages.append(Message(role=role, content=_text("" if value is None else value, f"field {name!r}")))
    return messages


def _pair(row: dict, prompt_field: str = "", answer_field: str = "") -> tuple[str, str] | None:
    """The fields of prompt and answer that a row has; None where it has no pair."""
    pairs = ((prompt_field or prompt, answer_field or answer) for prompt, answer in PAIRS)
    return next(((prompt, answer) for prompt, answer in pairs if prompt in row and answer in row), None)


def _exchange(asked: str, answered: str) -> list[Message]:
    return [Message(role="user", content=asked), Message(role="assistant", content=answered)]
