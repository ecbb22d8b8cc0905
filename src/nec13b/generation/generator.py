"""What it is to ask a model for a reply, whether it runs here or behind an endpoint.

A generator takes the messages of a dialogue and how to sample, and gives a `Completion` or raises `GenerationFailed`,
which ends one item and not the run. What a person has to mend (no such model, a refused key) is an InputError and
ends the run.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from ..dialogues.dialogue import Message


@dataclass(frozen=True)
class Sampling:
    """How a reply is sampled.

    Attributes:
        max_new_tokens: most tokens of the reply.
        temperature: 0 takes the likeliest token each time.
        top_p: samples from the likeliest tokens that have this probability together.
    """

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0

    def to_row(self) -> dict[str, Any]:
        """As the provenance of an item holds it."""
        return asdict(self)


@dataclass(frozen=True)
class Completion:
    """One reply.

    Attributes:
        text: the reply; a special token that the model wrote within it is spelt out.
        finish_reason: `stop`, `length` where it was cut at `max_new_tokens`, or what else an endpoint says.
        prompt_tokens, completion_tokens: what it took.
    """

    text: str
    finish_reason: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


class GenerationFailed(Exception):
    """A reply that could not be had.

    Args:
        reason: one of a few words by which failures are counted (`timeout`, `server_error`, `prompt_too_long`).
        detail: what was said about it.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


class Generator(Protocol):
    """What is asked of a generator.

    Attributes:
        model: how the model is called in the provenance of an item.
        retries: how often a request had to be repeated, by reason.
    """

    model: str
    retries: Counter[str]

    async def complete(self, messages: list[Message], sampling: Sampling, seed: int | None = None) -> Completion:
        """The reply to these messages; with a seed, the same one again, as far as the machine allows.

        Raises:
            GenerationFailed: it could not be had.
        """
        ...

    async def close(self) -> None:
        """Lets go of connections and memory."""
        ...
