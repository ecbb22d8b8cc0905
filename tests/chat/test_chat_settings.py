"""The command line of the chat, and settings that are changed while it runs."""

import pytest

from nec13b.chat.settings import DEFAULT_CHECKPOINT, Sampling, parse_chat_settings
from nec13b.errors import InputError


def test_a_checkpoint_and_flags_in_any_order():
    for words in (["my/model", "--web", "--port", "9000"], ["--web", "my/model", "--port=9000"]):
        settings = parse_chat_settings(words)
        assert (settings.checkpoint, settings.web, settings.port) == ("my/model", True, 9000)
    nothing = parse_chat_settings([])
    assert (nothing.checkpoint, nothing.web, nothing.host) == (DEFAULT_CHECKPOINT, False, "127.0.0.1")
    assert nothing.sampling == Sampling()
    assert parse_chat_settings(["--temperature", "0", "--seed", "3"]).sampling == Sampling(temperature=0, seed=3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["m", "--temprature", "1"], "did you mean --temperature"),
        (["m", "second"], "unexpected second"),
        (["m", "--port", "many"], "port"),
        (["m", "--port", "70000"], "from 0 to 65535"),
        (["m", "--temperature", "-1"], "temperature must be"),
        (["m", "--temperature", "nan"], "temperature must be"),
        (["m", "--top_p", "0"], "top_p must be"),
        (["m", "--dtype", "int8"], "one of auto"),
        (["m", "--attn_implementation", "paged"], "attn_implementation must be"),
        (["m", "--window", "0"], "window must be"),
    ],
)
def test_mistakes_are_named(words, message):
    with pytest.raises(InputError, match=message):
        parse_chat_settings(words)


def test_settings_change_by_what_is_typed():
    changed = Sampling().with_text("temperature", "0.2").with_text("seed", "7").with_text("max_new_tokens", "64")
    assert changed == Sampling(temperature=0.2, seed=7, max_new_tokens=64)
    assert changed.with_text("seed", "none").seed is None
    assert changed.with_text("seed", "").seed is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("colour", "1", "there are temperature, top_p"),
        ("temperature", "warm", "must be a number, not 'warm'"),
        ("temperature", "none", "must be a number"),
        ("seed", "1.5", "a whole number or none"),
        ("max_new_tokens", "0", "above 0"),
    ],
)
def test_values_that_do_not_fit_are_refused(name, text, message):
    with pytest.raises(InputError, match=message):
        Sampling().with_text(name, text)
