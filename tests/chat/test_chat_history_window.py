"""A history that is too long loses whole exchanges, the oldest first, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.chat.history_window import messages_that_fit
from nec13b.errors import InputError


def tokens_of(messages) -> int:
    return sum(len(message["content"]) + 3 for message in messages)


@st.composite
def dialogues(draw):
    text = st.text(max_size=30)
    messages = [{"role": "system", "content": draw(text)}] if draw(st.booleans()) else []
    if draw(st.booleans()):
        messages.append({"role": "assistant", "content": draw(text)})  # a greeting
    for _ in range(draw(st.integers(0, 6))):
        messages += [{"role": "user", "content": draw(text)}, {"role": "assistant", "content": draw(text)}]
    return [*messages, {"role": "user", "content": draw(text)}]


@given(dialogues(), st.integers(1, 300))
def test_whole_exchanges_go_and_what_stays_fits(messages, room):
    system = [m for m in messages[:1] if m["role"] == "system"]
    only = sum(m["role"] == "user" for m in messages) == 1
    shortest = messages if only else [*system, messages[-1]]
    if tokens_of(shortest) > room:
        with pytest.raises(InputError, match=f"room for {room}"):
            messages_that_fit(messages, tokens_of, room)
        return
    kept, left_out = messages_that_fit(messages, tokens_of, room)
    assert tokens_of(kept) <= room
    assert kept[: len(system)] == system
    assert kept[-1] == messages[-1]
    rest = kept[len(system) :]
    assert rest == messages[len(messages) - len(rest) :]  # the end of the dialogue, each message whole
    if left_out:
        assert rest[0]["role"] == "user"
        asked = [i for i, m in enumerate(messages) if m["role"] == "user"]
        assert len(messages) - len(rest) == asked[left_out]
        one_more = system + messages[(len(system) if left_out == 1 else asked[left_out - 1]) :]
        assert tokens_of(one_more) > room  # no more went than had to
    else:
        assert kept == messages


@given(dialogues())
def test_a_dialogue_that_fits_is_left_alone(messages):
    assert messages_that_fit(messages, tokens_of, tokens_of(messages)) == (messages, 0)


def test_a_message_longer_than_the_window_is_said_to_be():
    messages = [{"role": "system", "content": "s" * 10}, {"role": "user", "content": "u" * 100}]
    with pytest.raises(InputError, match=r"the system prompt take 116 tokens, but there is room for 50"):
        messages_that_fit(messages, tokens_of, 50)


def test_a_window_without_room_is_said_to_have_none():
    with pytest.raises(InputError, match="room for 0"):
        messages_that_fit([{"role": "user", "content": "u"}], tokens_of, -5)
