"""An endpoint that fails in every way it can: what passes is tried again, what does not ends the item or the run."""

import asyncio
import email.utils
import time

import pytest
from endpoint_stand_in import FAULTS, Endpoint

from nec13b.errors import InputError
from nec13b.generation.endpoint_generator import EndpointGenerator, retry_after
from nec13b.generation.generator import GenerationFailed, Sampling
from nec13b.generation.generator_settings import GeneratorSettings

pytest.importorskip("openai")
HELLO = [{"role": "user", "content": "こんにちは"}]
REASONS = {
    "status_500": "server_error", "status_503_html": "server_error", "stall": "timeout", "trickle": "timeout",
    "429_plain": "rate_limited", "429_retry_after": "rate_limited", "broken_json": "malformed_reply",
    "empty_choices": "empty_reply", "null_content": "malformed_reply", "not_an_object": "malformed_reply",
    "truncated": "connection", "dropped": "connection", "empty_text": "empty_reply",
}  # fmt: skip


def settings_for(endpoint, **changes) -> GeneratorSettings:
    quick = {"request_timeout": 20.0, "first_delay": 0.01, "longest_delay": 0.02, "max_attempts": 2}
    settings = GeneratorSettings(
        generator="endpoint", base_url=endpoint.url, model="stand-in", api_key_variable="A_KEY", **quick | changes
    )
    settings.check_generator_settings()
    return settings


async def ask(settings: GeneratorSettings, times: int = 1, sampling=Sampling(16)):  # noqa: B008
    """The replies to so many requests at once, and the generator."""
    generator = EndpointGenerator(settings)
    try:
        replies = await asyncio.gather(
            *(generator.complete(HELLO, sampling) for _ in range(times)), return_exceptions=True
        )
    finally:
        await generator.close()
    return replies, generator


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_tried_again_and_then_named(fault):
    with Endpoint(fault_share=1.0, faults=(fault,)) as endpoint:
        timeout = 0.4 if fault in ("stall", "trickle") else 20.0
        [reply], generator = asyncio.run(ask(settings_for(endpoint, request_timeout=timeout)))
        assert isinstance(reply, GenerationFailed)
        assert reply.reason == REASONS[fault]
        assert generator.retries == {REASONS[fault]: 1}
        assert endpoint.requests == 2


def test_all_of_many_requests_come_through_faults():
    with Endpoint(fault_share=0.4, faults=[fault for fault in FAULTS if fault not in ("stall", "trickle")]) as endpoint:
        replies, _ = asyncio.run(ask(settings_for(endpoint, max_attempts=30, request_timeout=20.0), 40))
        assert [reply.finish_reason for reply in replies] == ["stop"] * 40
        assert endpoint.met["none"] == 40


def test_retry_after_holds_all_requests():
    with Endpoint(fault_share=1.0, faults=("429_retry_after",)) as endpoint:
        asyncio.run(ask(settings_for(endpoint, max_attempts=3)))
        gaps = [later - earlier for earlier, later in zip(endpoint.times, endpoint.times[1:])]
        assert len(gaps) == 2
        assert min(gaps) >= 0.19


@pytest.mark.parametrize(("fault", "said"), [("none", "A_KEY"), ("status_404", "stand-in"), ("429_for_a_day", "1,440")])
def test_what_a_person_has_to_mend_ends_the_run(fault, said, monkeypatch):
    monkeypatch.setenv("A_KEY", "wrong-key" if fault == "none" else "right-key")
    with Endpoint(key="right-key", fault_share=1.0, faults=(fault,)) as endpoint:
        [error], _ = asyncio.run(ask(settings_for(endpoint)))
        assert isinstance(error, InputError)
        assert said in str(error)
        assert "-key" not in str(error)
        assert endpoint.requests == 1


def test_a_request_that_the_endpoint_does_not_take_ends_its_item_at_once():
    with Endpoint(fault_share=1.0, faults=("status_400",)) as endpoint:
        [failure], _ = asyncio.run(ask(settings_for(endpoint)))
        assert failure.reason == "bad_request"
        assert endpoint.requests == 1


def test_the_key_is_sent_and_never_repeated(monkeypatch):
    monkeypatch.setenv("A_KEY", "sk-secret-123")
    with Endpoint(key="sk-secret-123", fault_share=1.0, faults=("status_500",)) as endpoint:
        [failure], _ = asyncio.run(ask(settings_for(endpoint)))
        assert failure.reason == "server_error"
        assert "sk-secret" not in str(failure)
        assert "[secret]" in failure.detail


def test_sampling_and_further_options_reach_the_endpoint():
    with Endpoint() as endpoint:
        options = {"top_k": 5, "seed": 3, "max_tokens": None, "max_completion_tokens": 9}
        asyncio.run(ask(settings_for(endpoint, request_options=options), sampling=Sampling(16, 0.3, 0.8)))
        body = endpoint.bodies[0]
        assert (body["temperature"], body["top_p"], body["top_k"], body["seed"]) == (0.3, 0.8, 5, 3)
        assert body["max_completion_tokens"] == 9
        assert "max_tokens" not in body


def test_retry_after_is_understood_in_all_its_forms():
    assert retry_after({"retry-after": "3"}) == 3
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 28 <= retry_after({"retry-after": date}) <= 31
    for odd in ("", "soon", "-5", "nan", "inf", "Wed, 99 Foo 2026"):
        assert retry_after({"retry-after": odd}) == 0
    assert retry_after({}) == 0


@pytest.mark.parametrize("address", ["http://me:pass@host/v1", "http://host/v1?key=abc", "host:8000", "http://", ""])
def test_addresses_with_secrets_or_without_a_host_are_refused(address):
    with pytest.raises(InputError) as error:
        GeneratorSettings(base_url=address).check_generator_settings()
    assert "pass" not in str(error.value).replace("password", "")
    assert "abc" not in str(error.value)
