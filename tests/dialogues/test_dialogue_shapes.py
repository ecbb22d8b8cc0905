"""Every common shape gives the same messages; what has none of them says why."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.utils.chat_template_utils import render_jinja_template

from nec13b.dialogues.dialogue_shapes import SHAPES, NotADialogue, messages_of_row, shape_of_row
from nec13b.tokenization.chat_template import CHATML_TEMPLATE

MESSAGES = [
    {"role": "system", "content": "短く答える。"},
    {"role": "user", "content": "海は？"},
    {"role": "assistant", "content": "青い。"},
    {"role": "user", "content": "空は？"},
    {"role": "assistant", "content": "高い。"},
]
TURNS = [("system", "短く答える。"), ("human", "海は？"), ("gpt", "青い。"), ("human", "空は？"), ("gpt", "高い。")]
WEATHER = {"type": "function", "function": {"name": "weather", "description": "天気", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("shape", "row"),
    [
        ("messages", {"messages": MESSAGES}),
        ("messages", {"conversations": MESSAGES}),
        ("messages", MESSAGES),
        ("messages", {"messages": json.dumps(MESSAGES)}),
        ("messages", {"messages": [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in MESSAGES]}),
        ("messages", {"messages": MESSAGES[1:], "system": "短く答える。"}),
        ("sharegpt", {"conversations": [{"from": name, "value": said} for name, said in TURNS]}),
        ("sharegpt", {"conversations": {"from": [n for n, _ in TURNS], "value": [said for _, said in TURNS]}}),
        ("sharegpt", {"system_prompt": "短く答える。",
                      "conversations": [{"from": name, "value": said} for name, said in TURNS[1:]]}),
        ("alpaca", {"instruction": "空は？", "input": "", "output": "高い。", "history": [["海は？", "青い。"]],
                    "system": "短く答える。"}),
        ("prompt", {"prompt": MESSAGES[:4], "completion": "高い。"}),
        ("prompt", {"prompt": MESSAGES[:4], "completion": MESSAGES[4:]}),
    ],
)  # fmt: skip
def test_one_dialogue_in_many_shapes(shape, row):
    assert shape_of_row(row) == shape
    assert messages_of_row(row) == messages_of_row(row, shape) == MESSAGES


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "海は？", "completion": "青い。"}, {"prompt": "海は？", "response": "青い。", "id": 3},
        {"question": "海は？", "answer": "青い。"}, {"query": "海は？", "response": "青い。"},
        {"input": "海は？", "output": "青い。"}, {"text": "海は？", "output": "青い。"},
        {"instruction": "海は？", "output": "青い。"}, {"instruction": "海は？", "context": "", "response": "青い。"},
        {"instruction": "", "input": "海は？", "output": "青い。"},
    ],
)  # fmt: skip
def test_pairs_by_all_their_names(row):
    assert messages_of_row(row) == MESSAGES[1:3]


def test_an_input_follows_its_instruction():
    for name in ("input", "context"):
        row = {"instruction": "要約して。", name: "長い話。", "output": "話。", "response": "話。"}
        assert messages_of_row(row)[0]["content"] == "要約して。\n\n長い話。"


def test_fields_that_the_user_names():
    row = {"toi": "海は？", "kotae": "青い。", "answer": "別の答え"}
    assert messages_of_row(row, prompt_field="toi", answer_field="kotae") == MESSAGES[1:3]
    assert messages_of_row(row, prompt_field="toi")[1]["content"] == "別の答え"
    with pytest.raises(NotADialogue, match="no field 'mondai'"):
        messages_of_row(row, prompt_field="mondai")


def test_names_of_roles():
    names = {"prompter": "user", "Human": "user", "ChatGPT": "assistant", "bot": "assistant", "developer": "system",
             "function": "tool", "observation": "tool", "narrator": "narrator"}  # fmt: skip
    row = {"conversations": [{"from": name, "value": "a"} for name in names]}
    assert [message["role"] for message in messages_of_row(row)] == list(names.values())


def rendered(messages, tools=None):
    """A dialogue as transformers renders it with the project's template."""
    return render_jinja_template([messages], tools, chat_template=CHATML_TEMPLATE, bos_token="")[0][0]


def test_tools_and_their_calls_are_written_as_the_chat_template_writes_them():
    call = {"type": "function", "function": {"name": "weather", "arguments": {"city": "東京", "days": 2}}}
    written = {"function": {"name": "weather", "arguments": '{"city": "大阪"}'}}
    messages = [
        *MESSAGES[:2],
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "晴れ"},
        {"role": "assistant", "content": "次は大阪です。", "tool_calls": [call, written]},
        {"role": "tool", "content": "雨"},
        {"role": "assistant", "content": "東京は晴れ、大阪は雨です。"},
    ]
    for head in (messages, messages[1:]):
        for tools in ([WEATHER], json.dumps([WEATHER])):
            ours = messages_of_row({"messages": head, "tools": tools})
            assert rendered(ours) == rendered(head, [WEATHER])


def test_a_call_in_sharegpt_is_a_tool_call():
    call = '{"name": "weather", "arguments": {}}'
    row = {"conversations": [{"from": "human", "value": "天気は？"}, {"from": "function_call", "value": call}]}
    assert messages_of_row(row)[1] == {"role": "assistant", "content": f"<tool_call>\n{call}\n</tool_call>"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("text", "a row is an object or a list of messages, not a text"),
        (None, "not nothing"),
        ({}, r"no known shape; it has the fields \(none\)"),
        ({"title": 1, "body": 2}, "it has the fields title, body"),
        ({"messages": "hello"}, "the messages are a text, not a list"),
        ({"messages": 5}, "the messages are a number, not a list"),
        ({"messages": ["a", "b"]}, "message 1 is a text, not an object"),
        ({"messages": [{"content": "a"}]}, "message 1 has no role"),
        ({"messages": [{"role": "user", "content": {"a": 1}}]}, "message 1 holds an object, not a text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, r"more than text \(image_url\)"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]}, "a tool call has no name"),
        ({"messages": [{"role": "assistant", "tool_calls": 3}]}, "tool_calls are no list"),
        ({"messages": MESSAGES, "tools": "none"}, "'tools' is not JSON"),
        ({"instruction": "a", "output": "b", "history": ["c"]}, "entry 1 of field 'history' is not a pair"),
        ({"instruction": "a", "output": ["b"]}, None),
        ({"prompt": {"a": 1}, "completion": "b"}, "field 'prompt' holds an object"),
    ],
)
def test_what_is_no_dialogue_says_why(row, reason):
    if reason is None:
        assert messages_of_row(row)[1]["content"] == "b"
        return
    with pytest.raises(NotADialogue, match=reason):
        messages_of_row(row)


def test_a_shape_that_a_row_does_not_have():
    for shape in SHAPES[:4]:
        with pytest.raises(NotADialogue):
            messages_of_row({"title": "a"}, shape)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["messages", "conversations", "role", "from", "content", "value", "instruction", "input", "output",
             "system", "history", "prompt", "completion", "replies", "text", "tools", "tool_calls", "function", "name"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None)
@given(JSON, st.sampled_from(["", *SHAPES[:4]]))
def test_whatever_a_row_holds_gives_messages_or_a_reason(row, shape):
    with suppress(NotADialogue):  # any other error would be a bug
        messages = messages_of_row(row, shape)
        assert all(isinstance(m["role"], str) and isinstance(m["content"], str) for m in messages)
