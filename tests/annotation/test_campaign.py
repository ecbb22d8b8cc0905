"""Who gets which task, what is kept of what they say, and that the log only grows."""

import sqlite3
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from nec13b.annotation.campaign import KNOWN, RECORDED, STRANGE, TOO_LATE, Campaign, Task
from nec13b.errors import InputError

PEOPLE = ("ken", "mei", "sora")


def tasks(count: int, checks: int = 0) -> list[Task]:
    return [Task(f"t{i}", {"text": f"task {i}"}, is_check=i >= count) for i in range(count + checks)]


@pytest.fixture
def campaign_of(tmp_path):
    def make(count: int, checks: int = 0, **settings) -> Campaign:
        campaign = Campaign(tmp_path / "campaign.sqlite", **settings)
        campaign.take_in(tasks(count, checks))
        return campaign

    return make


def judged(campaign: Campaign, annotator: str) -> str:
    """Judges what is shown to somebody; the token."""
    token = campaign.task_for(annotator).token
    assert campaign.judge(token, annotator, {"verdict": "tie"}) == RECORDED
    return token


def test_each_task_goes_to_so_many_people(campaign_of):
    campaign = campaign_of(6, judgements_per_task=2)
    for name in PEOPLE * 6:
        if campaign.task_for(name):
            judged(campaign, name)
    assert Counter(one.task for one in campaign.judgements()) == {f"t{i}": 2 for i in range(6)}
    assert len({(one.task, one.annotator) for one in campaign.judgements()}) == 12
    assert campaign.progress_of("ken").left == 0
    assert campaign.judged_and_wanted() == (12, 12)


def test_an_open_task_waits_for_its_reader(campaign_of, tmp_path):
    campaign = campaign_of(3)
    shown = campaign.task_for("ken")
    assert campaign.task_for("ken") == shown
    assert Campaign(tmp_path / "campaign.sqlite").task_for("ken") == shown
    assert campaign.task_for("mei").task != shown.task


def test_a_repeated_request_is_the_same_judgement(campaign_of):
    campaign = campaign_of(3)
    token = judged(campaign, "ken")
    assert campaign.judge(token, "ken", {"verdict": "other"}) == KNOWN
    assert [one.content for one in campaign.judgements()] == [{"verdict": "tie"}]


def test_a_token_is_its_readers_alone(campaign_of):
    campaign = campaign_of(3)
    token = campaign.task_for("ken").token
    assert campaign.judge(token, "mei", {}) == STRANGE
    assert campaign.judge("made up", "ken", {}) == STRANGE
    assert campaign.judgements() == []


def test_taking_back_opens_the_task_again(campaign_of):
    campaign = campaign_of(3)
    first = campaign.task_for("ken").task
    token = judged(campaign, "ken")
    campaign.task_for("ken")
    assert campaign.take_back("ken", token)
    assert not campaign.take_back("ken", token)
    assert campaign.judgements() == []
    again = campaign.task_for("ken")
    assert (again.task, again.token != token) == (first, True)
    assert campaign.taken_back_of("ken", first.id).content == {"verdict": "tie"}
    assert campaign.judge(token, "ken", {}) == KNOWN  # of the page that was open before
    judged(campaign, "ken")
    assert len(campaign.judgements()) == 1


def test_nobody_takes_back_what_another_said(campaign_of):
    campaign = campaign_of(3)
    token = judged(campaign, "ken")
    assert not campaign.take_back("mei", token)


def test_a_lease_that_ran_out_goes_to_another(campaign_of):
    clock = [1_000_000.0]
    campaign = campaign_of(1, lease_seconds=60, now=lambda: clock[0])
    late = campaign.task_for("ken")
    assert campaign.task_for("mei") is None
    clock[0] += 61
    assert campaign.task_for("mei").task == late.task
    assert campaign.judge(late.token, "ken", {}) == TOO_LATE
    judged(campaign, "mei")
    assert [one.annotator for one in campaign.judgements()] == ["mei"]
    assert campaign.counts_by_annotator("late") == {"ken": 1}


def test_a_late_judgement_counts_while_there_is_room(campaign_of):
    clock = [1_000_000.0]
    campaign = campaign_of(1, lease_seconds=60, now=lambda: clock[0])
    token = campaign.task_for("ken").token
    clock[0] += 3600
    assert campaign.judge(token, "ken", {}, seconds=1e9) == RECORDED
    assert campaign.judgements()[0].seconds == 3600  # no longer than the page was open


@pytest.mark.parametrize("said", [None, float("nan"), float("inf")])
def test_seconds_that_are_none_are_those_since_the_page_was_opened(campaign_of, said):
    clock = [1_000_000.0]
    campaign = campaign_of(1, now=lambda: clock[0])
    token = campaign.task_for("ken").token
    clock[0] += 7
    campaign.judge(token, "ken", {}, seconds=said)
    assert campaign.judgements()[0].seconds == 7


def test_a_skipped_task_goes_to_others(campaign_of):
    campaign = campaign_of(1)
    token = campaign.task_for("ken").token
    campaign.judge(token, "ken", {"verdict": "skipped"}, counts=False)
    assert campaign.task_for("ken") is None
    assert campaign.task_for("mei")
    assert campaign.judged_and_wanted() == (0, 1)


def test_checks_come_now_and_then_and_to_everybody(campaign_of):
    campaign = campaign_of(12, checks=3, check_every=4)
    for name in ("ken", "mei"):
        expected = campaign.progress_of(name)
        kinds = []
        while shown := campaign.task_for(name):
            kinds.append(shown.task.is_check)
            judged(campaign, name)
        assert len(kinds) == expected.left
        if name == "ken":
            assert [i for i, check in enumerate(kinds) if check] == [2, 7, 12]
    assert kinds == []  # nothing was left for the second person to do, so nothing to check
    assert campaign.judged_and_wanted() == (12, 12)


def test_tasks_that_changed_are_refused_and_nothing_happens(campaign_of):
    campaign = campaign_of(3)
    with pytest.raises(InputError, match="'t1' is no longer"):
        campaign.take_in([Task("t0", {"text": "task 0"}), Task("t1", {"text": "changed"})])
    assert campaign.judged_and_wanted() == (0, 3)


def test_tasks_that_are_gone_are_asked_no_longer(campaign_of):
    campaign = campaign_of(3)
    token = judged(campaign, "ken")
    assert campaign.take_in(tasks(5)[3:]) == 2
    assert campaign.judged_and_wanted() == (0, 2)
    assert [one.token for one in campaign.judgements()] == [token]


def test_the_log_only_grows(campaign_of, tmp_path):
    campaign = campaign_of(1)
    judged(campaign, "ken")
    with sqlite3.connect(tmp_path / "campaign.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        for statement in ("UPDATE events SET annotator = 'mei'", "DELETE FROM events"):
            with pytest.raises(sqlite3.DatabaseError, match="only grows"):
                connection.execute(statement)


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "other.sqlite").write_bytes(b"no data base at all" * 100)
    with pytest.raises(InputError, match="cannot be used"):
        Campaign(tmp_path / "other.sqlite")


def test_many_threads_at_once(tmp_path):
    campaign = Campaign(tmp_path / "campaign.sqlite", judgements_per_task=2)
    campaign.take_in(tasks(10))
    errors = []

    def work(name: str) -> None:
        try:
            while shown := campaign.task_for(name):
                campaign.judge(shown.token, name, {"verdict": "tie"})
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in PEOPLE for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Counter(one.task for one in campaign.judgements()) == {f"t{i}": 2 for i in range(10)}
    assert len({(one.task, one.annotator) for one in campaign.judgements()}) == 20


class AnyOrderOfEvents(RuleBasedStateMachine):
    """Pages are opened, judged, judged again, taken back and left lying, in any order, over server restarts."""

    @initialize(enough=st.integers(1, 3), count=st.integers(1, 4))
    def begin(self, enough, count):
        self.folder = tempfile.TemporaryDirectory()
        self.enough, self.clock, self.pages, self.said = enough, 1_000_000.0, [], {}
        self.start_again()
        self.campaign.take_in(tasks(count))

    @rule()
    def start_again(self):
        self.campaign = Campaign(
            Path(self.folder.name) / "campaign.sqlite", self.enough, lease_seconds=60, now=lambda: self.clock
        )

    @rule(who=st.sampled_from(PEOPLE))
    def open_page(self, who):
        shown = self.campaign.task_for(who)
        if shown:
            assert (who, shown.task.id) not in self.said
            self.pages.append((who, shown.task.id, shown.token))

    @rule(page=st.integers(0, 10), skip=st.booleans())
    def judge(self, page, skip):
        if self.pages:
            who, task, token = self.pages[-1 - page % len(self.pages)]
            outcome = self.campaign.judge(token, who, {"token": token}, counts=not skip)
            assert outcome != STRANGE
            if outcome == RECORDED:
                assert (who, task) not in self.said
                self.said[who, task] = (token, not skip)

    @rule(who=st.sampled_from(PEOPLE))
    def take_back(self, who):
        last = self.campaign.last_of(who)
        assert (last is not None) == any(one == who for one, _ in self.said)
        if last:
            assert self.campaign.take_back(who, last.token)
            del self.said[who, last.task]

    @rule(seconds=st.sampled_from([1, 59, 61]))
    def wait(self, seconds):
        self.clock += seconds

    @invariant()
    def nothing_is_lost_or_doubled(self):
        if hasattr(self, "said"):
            stand = {(one.annotator, one.task): (one.token, one.counts) for one in self.campaign.judgements()}
            assert stand == self.said
            assert len(self.campaign.judgements()) == len(self.said)
            assert max(Counter(task for (_, task), (_, counts) in self.said.items() if counts).values(), default=0) <= (
                self.enough
            )

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
TestAnyOrderOfEvents.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
