"""How fast an endpoint may be asked: so many requests and tokens a minute, and a pause for all when it says so."""

import asyncio
import time


class RateLimit:
    """Spaces requests evenly along one time line, so that no window of a minute holds more than is allowed.

    Each request takes up the time that its share of the minute is, of requests or of tokens, whichever is longer.

    Args:
        requests_per_minute, tokens_per_minute: 0 sets no limit.
    """

    def __init__(self, requests_per_minute: float = 0, tokens_per_minute: float = 0):
        self._seconds_per_request = 60 / requests_per_minute if requests_per_minute else 0.0
        self._seconds_per_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._free = self._held_until = 0.0

    async def wait(self, tokens: int) -> None:
        """Returns when a request that will take about so many tokens may be sent."""
        start = max(time.monotonic(), self._free)
        self._free = start + max(self._seconds_per_request, tokens * self._seconds_per_token)
        while (pause := max(start, self._held_until) - time.monotonic()) > 0:
            await asyncio.sleep(pause)

    def correct(self, foreseen: int, used: int) -> None:
        """Takes note that a request took another number of tokens than was foreseen when it waited."""
        self._free += (used - foreseen) * self._seconds_per_token

    def hold(self, seconds: float) -> None:
        """Lets no request go for some seconds, as an endpoint asks with Retry-After."""
        self._held_until = max(self._held_until, time.monotonic() + seconds)
