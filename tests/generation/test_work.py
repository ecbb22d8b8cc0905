"""Items are worked on in their order, so many at once; a run stops for a reason it can name, and errors speak up."""

import asyncio

import pytest

from nec13b.errors import InputError
from nec13b.generation.work import Progress, StopRule, run_all, work_through


@pytest.mark.parametrize("workers", [1, 3, 50])
def test_every_item_is_worked_on_once_and_no_more_than_so_many_at_a_time(workers):
    begun, at_once, most = [], 0, 0

    async def work(item):
        nonlocal at_once, most
        begun.append(item)
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return True

    run_all(work_through(range(20), work, workers))
    assert begun == list(range(20))
    assert most == min(workers, 20)


def test_no_item_is_begun_when_one_says_stop():
    begun = []

    async def work(item):
        begun.append(item)
        return item < 4

    run_all(work_through(range(20), work, 1))
    assert begun == [0, 1, 2, 3, 4]


def test_of_several_errors_the_one_that_speaks_to_the_user_is_raised():
    async def work(item):
        await asyncio.sleep(0)
        raise InputError("the key is refused") if item == 2 else ValueError(item)

    with pytest.raises(InputError, match="the key is refused"):
        run_all(work_through(range(4), work, 4))


def test_failures_count_only_in_a_row_and_the_first_reason_to_stop_stays():
    rule = StopRule("answers", 3, 5.0)
    for failure in ("timeout", "timeout", "", "timeout", "timeout"):
        rule.note(failure)
        assert not rule.stopped
    rule.note("server_error (down)")
    assert "3 answers in a row have failed, the last with server_error (down)" in rule.stopped
    rule.cost = 9.0
    rule.note("")
    assert "in a row" in rule.stopped
    spent = StopRule("answers", 0, 5.0)
    spent.cost = 5.0
    spent.note("")
    assert "the budget of 5 is spent" in spent.stopped
    never = StopRule("answers", 0, 0)
    never.cost = 1e9
    never.note("timeout")
    assert never.stopped == ""


def test_progress_counts_what_was_done_before(capsys, monkeypatch):
    monkeypatch.setattr("nec13b.generation.work.SECONDS_BETWEEN_LINES", 0)
    progress = Progress("answer", 4, ("answered", "failed"))
    progress.begin(["answered", "failed"])
    progress.show("answered", 0.5)
    progress.close()
    assert capsys.readouterr().out == "3 of 4 answers: 2 answered, 1 failed, cost 0.5\n"
