"""No window of a minute holds more requests or tokens than allowed; told by a clock that the test turns."""

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.generation import rate_limit
from nec13b.generation.rate_limit import RateLimit


class Clock:
    """Stands in for the modules `time` and `asyncio`: sleeping turns the clock."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(rate_limit, "time", clock)
    monkeypatch.setattr(rate_limit, "asyncio", SimpleNamespace(sleep=clock.sleep))
    return clock


def starts(limit: RateLimit, clock: Clock, tokens: list[int]) -> list[float]:
    """When each of some requests that come one after another goes out."""

    async def run():
        times = []
        for count in tokens:
            await limit.wait(count)
            times.append(clock.now)
        return times

    return asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=60), st.integers(1, 100), st.integers(100, 5000))
def test_no_minute_holds_more_than_allowed(tokens, requests_per_minute, tokens_per_minute):
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rate_limit, "time", clock)
        patch.setattr(rate_limit, "asyncio", SimpleNamespace(sleep=clock.sleep))
        times = starts(RateLimit(requests_per_minute, tokens_per_minute), clock, tokens)
    for start in times:
        within = [n for n, time in enumerate(times) if start <= time < start + 60 - 1e-6]
        assert len(within) <= requests_per_minute
        # The last of them may take up time beyond the minute.
        assert sum(tokens[n] for n in within[:-1]) <= tokens_per_minute + 1e-6


def test_without_limits_nothing_waits(clock):
    assert starts(RateLimit(), clock, [1000] * 5) == [100.0] * 5


def test_fewer_tokens_than_foreseen_let_the_next_go_earlier(clock):
    limit = RateLimit(tokens_per_minute=60)
    assert starts(limit, clock, [30, 1]) == [100.0, 130.0]
    limit.correct(1, 11)
    assert starts(limit, clock, [1]) == [141.0]


def test_a_pause_holds_those_who_wait_already(clock):
    limit = RateLimit(requests_per_minute=60)

    async def run():
        await limit.wait(1)
        limit.hold(7)
        await limit.wait(1)
        return clock.now

    assert asyncio.run(run()) == 107.0
