"""What of a long dialogue the model still sees: whole exchanges are left out, the oldest first, and nothing is cut.

A text that is cut at a token starts in the middle of a sentence, and a question without its answer, or an answer
without its question, misleads a model more than having neither.
"""

from bisect import bisect_left
from collections.abc import Callable

from ..dialogues.dialogue import Message
from ..errors import InputError


def messages_that_fit(
    messages: list[Message], tokens_of: Callable[[list[Message]], int], room: int
) -> tuple[list[Message], int]:
    """The part of a dialogue that the model is given.

    The system message and the last exchange (from the last user message on) always stay.

    Args:
        messages: the dialogue; at least one message comes from the user.
        tokens_of: how many tokens some of them are when rendered; not more for fewer exchanges.
        room: most tokens, at least 1.

    Returns:
        The messages that fit, and how many exchanges were left out.

    Raises:
        InputError: the last exchange and the system message alone are too long.
    """
    system = messages[:1] if messages[0]["role"] == "system" else []
    starts = [i for i, message in enumerate(messages) if message["role"] == "user"]
    starts[0] = len(system)  # what an assistant says first belongs to the first exchange

    def without(exchanges: int) -> list[Message]:
        return system + messages[starts[exchanges] :]

    left_out = bisect_left(range(len(starts) - 1), True, key=lambda n: tokens_of(without(n)) <= room)
    if left_out == len(starts) - 1 and (tokens := tokens_of(without(left_out))) > room:
        raise InputError(
            f"the message{' and the system prompt' if system else ''} take {tokens:,} tokens, but there is room for "
            f"{max(0, room):,} beside the answer; shorten the text, or lower max_new_tokens"
        )
    return without(left_out), left_out
