"""Replies from an OpenAI-compatible endpoint: vLLM's server, llama.cpp's, or a provider's.

Requests go through the `openai` client. Its own retries are off: they neither show up in the accounts, nor pass the
rate limit, nor cover a reply that is no completion (broken JSON, no choices), which servers under load do send.
"""

import asyncio
import email.utils
import os
import random
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from ..dialogues.dialogue import Message
from ..errors import InputError, one_line
from .generator import Completion, GenerationFailed, Sampling
from .generator_settings import GeneratorSettings
from .rate_limit import RateLimit

LONGEST_RETRY_AFTER = 600.0  # seconds; where an endpoint asks for more, its quota is spent, and the run ends
CHARACTERS_PER_TOKEN = 2  # only to foresee a request's size for the limit of tokens a minute
DETAIL_CHARACTERS = 300
SECRET_MARK = "[secret]"


class EndpointGenerator:
    """Asks an endpoint, with a rate limit, a timeout and repeated attempts.

    Args:
        settings: the endpoint's address, model, limits.

    Raises:
        InputError: the package `openai` is missing, the key is, or the address cannot be one.
    """

    def __init__(self, settings: GeneratorSettings):
        try:
            import openai
        except ImportError:
            raise InputError("an endpoint is asked through the package openai: pip install -e '.[augment]'") from None
        self._openai = openai
        self.model = settings.model
        self.retries: Counter[str] = Counter()
        self._settings = settings
        self._key = os.environ.get(settings.api_key_variable, "") if settings.api_key_variable else ""
        if not self._key and (urlsplit(settings.base_url).hostname or "").endswith("openai.com"):
            raise InputError(
                f"{settings.base_url} wants a key; put it into the environment as {settings.api_key_variable}"
            )
        self._limit = RateLimit(settings.requests_per_minute, settings.tokens_per_minute)
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none", base_url=settings.base_url, timeout=settings.request_timeout, max_retries=0
        )

    async def complete(self, messages: list[Message], sampling: Sampling, seed: int | None = None) -> Completion:
        """The reply to these messages.

        Args:
            messages: of the dialogue.
            sampling: how the reply is sampled.
            seed: passed on; most servers heed it (vLLM's, llama.cpp's), some providers do not.

        Raises:
            GenerationFailed: it could not be had in `max_attempts`, or the endpoint does not take this request.
            InputError: the endpoint refuses the key, has no such model, or asks to come back much later.
        """
        request = self._request(messages, sampling, seed)
        foreseen = sum(len(m["content"]) for m in messages) // CHARACTERS_PER_TOKEN + sampling.max_new_tokens
        for attempt in range(1, self._settings.max_attempts + 1):
            await self._limit.wait(foreseen)
            try:
                completion = await self._attempt(request)
            except _Again as again:
                if again.after > LONGEST_RETRY_AFTER:
                    raise InputError(
                        f"{self._settings.base_url} asks to wait {again.after / 60:,.0f} minutes ({again.detail}); "
                        "run the command again then"
                    ) from None
                if again.after:
                    self._limit.hold(again.after)
                if attempt == self._settings.max_attempts:
                    raise GenerationFailed(again.reason, again.detail) from None
                self.retries[again.reason] += 1
                if not again.after:
                    await asyncio.sleep(self._delay(attempt))
            else:
                used = completion.prompt_tokens + completion.completion_tokens
                if used:
                    self._limit.correct(foreseen, used)
                return completion
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    def _request(self, messages: list[Message], sampling: Sampling, seed: int | None) -> dict[str, Any]:
        request = {
            "model": self.model,
            "messages": messages,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": seed,
        } | self._settings.request_options
        extra = {name: value for name, value in request.items() if name not in _KNOWN and value is not None}
        request = {name: value for name, value in request.items() if name in _KNOWN and value is not None}
        return request | ({"extra_body": extra} if extra else {})

    async def _attempt(self, request: dict[str, Any]) -> Completion:
        openai = self._openai
        try:
            # The client's own timeout counts from one byte to the next, so a reply that trickles in would never end.
            async with asyncio.timeout(self._settings.request_timeout):
                reply = await self._client.chat.completions.create(**request)
        except (TimeoutError, openai.APITimeoutError):
            raise _Again("timeout", f"no reply within {self._settings.request_timeout:g} s") from None
        except openai.APIStatusError as error:
            raise self._status_failure(error) from None
        except openai.APIConnectionError as error:
            raise _Again("connection", self._plain(error.__cause__ or error)) from None
        except (openai.OpenAIError, ValueError, TypeError) as error:  # the body is no JSON, or of no known shape
            raise _Again("malformed_reply", self._plain(error)) from None
        return self._completion_of(reply)

    def _status_failure(self, error) -> Exception:
        status, said = error.status_code, self._plain(error)
        if status in (401, 403):
            return InputError(f"{self._settings.base_url} refuses the key of {self._settings.api_key_variable}: {said}")
        if status == 404:
            return InputError(f"{self._settings.base_url} has no model {self.model!r}, or is no such endpoint: {said}")
        if status == 429:
            return _Again("rate_limited", said, retry_after(error.response.headers))
        if status >= 500 or status in (408, 409, 425):
            return _Again("server_error", said, retry_after(error.response.headers))
        return GenerationFailed("bad_request", said)

    def _completion_of(self, reply: Any) -> Completion:
        """The reply's first choice. The client checks no shapes, so each field may be missing or of another type."""
        choices = getattr(reply, "choices", None)
        if not isinstance(choices, list):
            raise _Again("malformed_reply", "no list of choices")
        if not choices:
            raise _Again("empty_reply", "no choices")
        content = getattr(getattr(choices[0], "message", None), "content", None)
        finish_reason = getattr(choices[0], "finish_reason", None) or "stop"
        if not isinstance(content, str) or not isinstance(finish_reason, str):
            raise _Again("malformed_reply", "no text in the first choice")
        if not content.strip():
            raise _Again("empty_reply", f"an empty text, finish_reason {finish_reason}")
        usage = getattr(reply, "usage", None)
        counts = (getattr(usage, name, 0) for name in ("prompt_tokens", "completion_tokens"))
        prompt_tokens, completion_tokens = (count if isinstance(count, int) else 0 for count in counts)
        return Completion(content, finish_reason, prompt_tokens, completion_tokens)

    def _delay(self, attempt: int) -> float:
        """Doubles with every attempt; half is chance, so that those who failed together do not come back together."""
        longest = min(self._settings.longest_delay, self._settings.first_delay * 2 ** (attempt - 1))
        return longest * random.uniform(0.5, 1)

    def _plain(self, error: BaseException) -> str:
        """What the error says, on one line, without the key, which some servers repeat."""
        said = one_line(error)
        return (said.replace(self._key, SECRET_MARK) if self._key else said)[:DETAIL_CHARACTERS]


class _Again(Exception):
    """An attempt that failed in a way that may pass."""

    def __init__(self, reason: str, detail: str, after: float = 0.0):
        super().__init__(reason)
        self.reason, self.detail, self.after = reason, detail, after


# What the client takes by name; anything else goes into the body of the request (top_k, repetition_penalty, ...).
_KNOWN = {
    "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "frequency_penalty",
    "presence_penalty", "seed", "stop", "reasoning_effort", "service_tier", "user",
}  # fmt: skip


def retry_after(headers) -> float:
    """The seconds that a reply asks to wait, by `Retry-After-Ms` or `Retry-After`, seconds or a date; or 0."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        return seconds if 0 < seconds < float("inf") else 0.0
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, date.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
