"""An answer comes in whole characters, can be stopped, and does not depend on what was cached."""

import threading

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_chat_model import chat_model, random_model  # noqa: F401

from nec13b.chat.answer import Answer, CharacterStreamer
from nec13b.chat.chat_model import ChatModel
from nec13b.chat.settings import Sampling
from nec13b.errors import InputError

GREEDY = Sampling(temperature=0, max_new_tokens=24)


def prompt_of(model: ChatModel, text: str = "こんにちは") -> list[int]:
    return model.prompt_ids([{"role": "user", "content": text}])


def said(answer: Answer) -> str:
    return "".join(answer)


def pieces_of(tokenizer, ids: list[int]) -> list[str]:
    return list(streamed(tokenizer, ids))


def streamed(tokenizer, ids: list[int]) -> CharacterStreamer:
    streamer = CharacterStreamer(tokenizer)
    streamer.put(torch.tensor([[1, 2, 3]]))
    for token in ids:
        streamer.put(torch.tensor([token]))
    streamer.end()
    return streamer


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60))
def test_pieces_add_up_to_the_text(tokenizer, text):
    ids = tokenizer.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert "".join(pieces_of(tokenizer.tokenizer, ids)) == tokenizer.tokenizer.decode(ids, skip_special_tokens=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 1023), max_size=40))
def test_tokens_that_are_no_text_do_no_harm(tokenizer, ids):
    """A model may write single bytes that are no UTF-8, with other tokens between them."""
    streamer = streamed(tokenizer.tokenizer, ids)
    list(streamer)
    assert streamer.text == tokenizer.tokenizer.decode(ids, skip_special_tokens=True)


def test_kana_come_one_by_one_and_bytes_of_a_character_together(tokenizer):
    tokens = tokenizer.tokenizer
    kana = [tokens.convert_tokens_to_ids(character) for character in "ひらがな"]
    assert [piece for piece in pieces_of(tokens, kana) if piece] == list("ひらがな")
    emoji = tokens("🦀", add_special_tokens=False)["input_ids"]
    assert len(emoji) > 1
    assert [piece for piece in pieces_of(tokens, emoji) if piece] == ["🦀"]


def test_it_says_what_generate_says(chat_model):  # noqa: F811
    prompt = prompt_of(chat_model)
    expected = chat_model.model.generate(torch.tensor([prompt]), max_new_tokens=24, do_sample=False)[0, len(prompt) :]
    answer = Answer(chat_model, prompt, GREEDY)
    said(answer)
    assert answer.text == chat_model.tokenizer.decode(expected, skip_special_tokens=True)
    assert answer.ended == "length"


def test_an_end_token_ends_it_and_is_not_shown(tokenizer):
    model = ChatModel(random_model(tokenizer, ends_at_once=True), tokenizer.tokenizer, "tiny")
    answer = Answer(model, prompt_of(model), GREEDY)
    assert said(answer) == ""
    assert answer.ended == "end"


def test_a_seed_fixes_the_answer_and_the_attempt_changes_it(chat_model):  # noqa: F811
    prompt, how = prompt_of(chat_model), Sampling(temperature=1.0, max_new_tokens=16, seed=5)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = said(Answer(chat_model, prompt, how))
    assert torch.equal(torch.random.get_rng_state(), before)  # nobody else's numbers are drawn
    assert said(Answer(chat_model, prompt, how)) == first
    assert said(Answer(chat_model, prompt, how, attempt=1)) != first
    unseeded = Sampling(temperature=1.0, max_new_tokens=16)
    assert said(Answer(chat_model, prompt, unseeded)) != said(Answer(chat_model, prompt, unseeded))


def test_what_was_cached_does_not_change_what_is_said(chat_model, tokenizer):  # noqa: F811
    """A longer dialogue, the same one again, another one, and one that was cut at its beginning."""
    dialogue = [{"role": "user", "content": "一つ目の質問です。"}]
    first = said(Answer(chat_model, chat_model.prompt_ids(dialogue), GREEDY))
    longer = [*dialogue, {"role": "assistant", "content": first}, {"role": "user", "content": "二つ目の質問です。"}]
    for messages in (longer, longer, dialogue, longer[2:], longer):
        prompt = chat_model.prompt_ids(messages)
        fresh = ChatModel(random_model(tokenizer), tokenizer.tokenizer, "fresh")
        assert said(Answer(chat_model, prompt, GREEDY)) == said(Answer(fresh, prompt, GREEDY))


def test_a_further_turn_reads_only_what_is_new(chat_model, monkeypatch):  # noqa: F811
    read = []
    forward = type(chat_model.model).forward

    def counted(self, input_ids=None, **rest):
        read.append(input_ids.shape[1])
        return forward(self, input_ids=input_ids, **rest)

    monkeypatch.setattr(type(chat_model.model), "forward", counted)
    prompt = prompt_of(chat_model, "長い質問です。" * 5)
    said(Answer(chat_model, prompt, GREEDY))
    assert read[0] == len(prompt)
    read.clear()
    said(Answer(chat_model, prompt, GREEDY))
    assert read[0] == 1


def test_stopping_ends_it_with_what_was_said(chat_model):  # noqa: F811
    answer = Answer(chat_model, prompt_of(chat_model), Sampling(temperature=0, max_new_tokens=200))
    pieces = iter(answer)
    first = next(pieces)
    answer.stop()
    rest = "".join(pieces)
    assert answer.ended == "stopped"
    assert answer.text == first + rest
    assert not chat_model.turn.locked()


def test_whoever_stops_listening_stops_the_work(chat_model):  # noqa: F811
    answer = Answer(chat_model, prompt_of(chat_model), Sampling(temperature=0, max_new_tokens=200))
    pieces = iter(answer)
    next(pieces)
    pieces.close()
    assert answer.ended == "stopped"
    assert not chat_model.turn.locked()
    assert said(Answer(chat_model, prompt_of(chat_model), GREEDY))  # and the next one is none the worse


def test_one_answer_waits_for_the_other_and_can_be_stopped_while_it_waits(chat_model):  # noqa: F811
    waiting = Answer(chat_model, prompt_of(chat_model), GREEDY)
    with chat_model.turn:
        threading.Timer(0.2, waiting.stop).start()
        assert said(waiting) == ""
    assert waiting.ended == "stopped"


def test_a_failing_model_is_an_error_in_one_line_and_not_a_hanging_chat(chat_model, monkeypatch):  # noqa: F811
    def fails(*_, **__):
        raise RuntimeError("bad\nthing")

    monkeypatch.setattr(chat_model.model, "generate", fails)
    with pytest.raises(InputError, match="the model failed: bad thing"):
        said(Answer(chat_model, prompt_of(chat_model), GREEDY))
    assert not chat_model.turn.locked()
