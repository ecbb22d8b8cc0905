"""Many requests under way at once: workers, what is shown meanwhile, and when it is better to stop."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from tqdm import tqdm

from ..errors import InputError

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 20


async def work_through(items: Iterable[Item], work: Callable[[Item], Awaitable[bool]], workers: int) -> None:
    """Works on items in their order, some of them at once.

    Args:
        items: what there is to do.
        work: does one; says whether to go on.
        workers: items under way at once, at most.
    """
    items = iter(items)

    async def worker() -> None:
        for item in items:  # all workers take from the same iterator
            if not await work(item):
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(worker())


def run_all(work: Coroutine[Any, Any, None]) -> None:
    """Runs work to its end; of the errors of several workers, one is raised: one that speaks to the user, if any."""
    try:
        asyncio.run(work)
    except BaseExceptionGroup as group:
        errors, unread = [], [group]
        while unread:
            for error in unread.pop().exceptions:
                (unread if isinstance(error, BaseExceptionGroup) else errors).append(error)
        raise next((error for error in errors if isinstance(error, InputError)), errors[0]) from None


class StopRule:
    """When a run should end before its time: the generator is down, or the money is spent.

    Args:
        what: how the items are called, for messages.
        stop_after_failures: so many in a row; 0: never.
        budget: what replies may cost; 0: anything.
        advice: what to do once the failures are mended.

    Attributes:
        stopped: why the run should end, or nothing.
        cost: so far.
    """

    def __init__(
        self, what: str, stop_after_failures: int, budget: float,
        advice: str = "run the command again with --retry_failed true",
    ):  # fmt: skip
        self._what, self._stop_after_failures, self._budget, self._advice = what, stop_after_failures, budget, advice
        self.stopped, self.cost, self._failures_in_a_row = "", 0.0, 0

    def note(self, failure: str) -> None:
        """Takes note of an item that was worked on: why it failed, or nothing. What it cost is added to `cost`."""
        self._failures_in_a_row = self._failures_in_a_row + 1 if failure else 0
        if self.stopped:
            return
        if self._stop_after_failures and self._failures_in_a_row >= self._stop_after_failures:
            self.stopped = (
                f"{self._failures_in_a_row} {self._what} in a row have failed, the last with {failure}; mend that, and "
                f"{self._advice}"
            )
        elif self._budget and self.cost >= self._budget:
            self.stopped = f"the budget of {self._budget:g} is spent; raise it, and run the command again"


class Progress:
    """A bar on a terminal, elsewhere a line now and then.

    Args:
        what: how the items are called.
        total: how many there are.
        kinds: what can become of one.
    """

    def __init__(self, what: str, total: int, kinds: Iterable[str]):
        self.what, self.total, self.counts = what, total, dict.fromkeys(kinds, 0)
        self.bar, self.printed = None, 0.0

    def begin(self, done: Iterable[str]) -> None:
        """Shows it, with what became of the items that are done already."""
        for kind in done:
            self.counts[kind] += 1
        self.printed = time.monotonic()
        if self.bar is None and sys.stderr.isatty():
            self.bar = tqdm(total=self.total, initial=sum(self.counts.values()), unit=self.what, dynamic_ncols=True)

    def show(self, kind: str, cost: float) -> None:
        """Counts an item, and says what all of them have cost."""
        self.counts[kind] += 1
        said = ", ".join(f"{count:,} {name}" for name, count in self.counts.items())
        said += f", cost {cost:.4g}" if cost else ""
        if self.bar is not None:
            self.bar.update(1)
            self.bar.set_postfix_str(said)
        elif time.monotonic() - self.printed >= SECONDS_BETWEEN_LINES:
            self.printed = time.monotonic()
            print(f"{sum(self.counts.values()):,} of {self.total:,} {self.what}s: {said}", flush=True)

    def close(self) -> None:
        """Takes the bar away."""
        if self.bar is not None:
            self.bar.close()
