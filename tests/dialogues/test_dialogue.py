"""On which side of the split a dialogue falls."""

from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.dialogues import Dialogue


def opening(*contents: str, system: str = "") -> Dialogue:
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]
    return Dialogue(messages)


def test_a_greeting_alone_does_not_decide():
    chats = [opening("こんにちは！", f"こんにちは。{number}番です。", "それで？", "はい") for number in range(2000)]
    share = sum(chat.is_held_out(0.1) for chat in chats) / len(chats)
    assert 0.07 < share < 0.13


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=20).filter(lambda text: len(" ".join(text.split())) >= 16), st.text(), st.text(), st.text())
def test_what_goes_on_from_one_question_stays_on_one_side(question, one, other, system):
    sides = {opening(question, answer).is_held_out(0.5) for answer in (one, other, one + other)}
    sides.add(opening("  " + question + "\n", one, system=system).is_held_out(0.5))
    assert len(sides) == 1
