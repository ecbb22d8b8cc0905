"""The amplification of dialogues (section 4 of the paper): a model writes new ones out of seeds, people decide on them.

A run asks for a number of items, works on some of them at once, and writes the outcome of each into a journal before
anything else. So it may be killed at any time and goes on by the same command: finished items are not made again, and
in the end every item that was asked for is kept, rejected with a reason, or failed with a reason.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..corpus import Rejections
from ..dialogues.dialogue import Dialogue
from ..dialogues.dialogue_sources import parse_dialogue_sources
from ..errors import InputError
from ..generation.generator import Generator
from ..generation.generators import open_generator
from ..generation.work import Progress, StopRule, run_all, work_through
from ..run_record import LOCK_NAME, alone_in, read_json, write_json
from .augmentation_config import AugmentDialoguesConfig
from .augmentation_plan import PlannedItem, planned_round
from .augmentation_prompts import LANGUAGES, prompts_in
from .augmentation_report import Accounts
from .item_writing import ItemWriter
from .known_texts import KnownTexts
from .outcome_journal import FAILED, KEPT, OUTCOMES, REJECTED, Outcome, OutcomeJournal
from .review_queue import DECISIONS_NAME, QUEUE_NAME, RESULT_NAME, ReviewFiles, read_decisions
from .seed_dialogues import read_seeds

REQUEST_NAME, JOURNAL_NAME, REPORT_NAME = "augmentation.json", "journal.jsonl", "report.json"
SEEDS_SET_ASIDE_NAME, LINES_SET_ASIDE_NAME = "rejected_seeds.jsonl", "rejected_lines.jsonl"
MADE_NAMES = (
    REQUEST_NAME,
    JOURNAL_NAME,
    REPORT_NAME,
    QUEUE_NAME,
    RESULT_NAME,
    SEEDS_SET_ASIDE_NAME,
    LINES_SET_ASIDE_NAME,
)
# What may change between a run and its continuation, since it changes nothing of what is asked for.
FREE_SETTINGS = {
    "seeds", "output_dir", "overwrite_output_dir", "rounds", "batch_size", "base_url", "api_key_variable",
    "concurrency", "requests_per_minute", "tokens_per_minute", "request_timeout", "max_attempts", "first_delay",
    "longest_delay", "prompt_price", "completion_price", "retry_failed", "stop_after_failures", "budget",
    "take_unreviewed",
}  # fmt: skip


def augment_dialogues(config: AugmentDialoguesConfig, generator: Generator | None = None) -> dict[str, Any]:
    """Makes the items that are not made yet, and writes the review queue, the result and the report.

    Args:
        config: the settings.
        generator: in place of the one that the settings name.

    Returns:
        The content of `report.json`; `stopped` says why, where the run ended before all items were asked for.

    Raises:
        InputError: bad settings or seeds, a generator that cannot be had, a folder of another run.
    """
    sources = parse_dialogue_sources(config.seeds)
    for language in LANGUAGES:  # what is wrong with prompts of the user's is found before any work starts
        prompts_in(language, config.prompts)
    output = Path(config.output_dir)
    with alone_in(output):
        _check_folder(output, config)
        set_aside = Rejections(output / SEEDS_SET_ASIDE_NAME)
        seeds = read_seeds(sources, config.max_seed_characters, set_aside)
        _claim(output, config, seeds)
        lines = Rejections(output / LINES_SET_ASIDE_NAME)
        run = AugmentationRun(config, seeds, OutcomeJournal(output / JOURNAL_NAME, lines))
        try:
            run_all(run.make_items(generator))
        finally:
            run.journal.close()
        accounts = Accounts(config, OutcomeJournal(output / JOURNAL_NAME).records())
        kept = accounts.kept()
        known = {dialogue.id: dialogue.messages for dialogue in (*seeds, *(outcome.dialogue for outcome in kept))}
        decisions = read_decisions(output / DECISIONS_NAME, lines)
        review = ReviewFiles(output, decisions, known, config.take_unreviewed).write(kept)
        report = {
            "stopped": run.stopped,
            **accounts.report(seeds),
            "retries": run.retries,
            "review": review,
            "seeds": {"used": len(seeds), "set_aside": dict(set_aside.counts)},
            "unreadable_lines": dict(lines.counts),
        }
        write_json(output / REPORT_NAME, report)
    return report


class AugmentationRun:
    """Makes the items of all rounds that the journal does not hold yet.

    Args:
        config: the settings.
        seeds: of the first round.
        journal: of what was done before, and of what is done now.

    Attributes:
        stopped: why the run ended early, or nothing.
        retries: how often requests were sent again, by reason.
    """

    def __init__(self, config: AugmentDialoguesConfig, seeds: list[Dialogue], journal: OutcomeJournal):
        self.config, self.seeds, self.journal = config, seeds, journal
        self.retries: dict[str, int] = {}
        self._known = KnownTexts(config.near_duplicate_similarity)
        for seed in seeds:
            self._known.add_seed(seed)
        self._done: dict[tuple[int, int], str] = {}
        self._kept: dict[int, dict[int, Dialogue]] = {}
        self._stop_rule = StopRule("items", config.stop_after_failures, config.budget)
        for outcome in journal.records():
            self._take_note(outcome)
        if self._done and max(self._done)[0] > config.rounds:
            raise InputError(f"{journal.path} holds {max(self._done)[0]} rounds; ask for as many by --rounds, or more")
        self._progress = Progress("item", config.items * config.rounds, OUTCOMES)

    @property
    def stopped(self) -> str:
        return self._stop_rule.stopped

    async def make_items(self, generator: Generator | None) -> None:
        """Goes through the rounds; opens a generator only where something is left to do."""
        writer = None
        try:
            for round in range(1, self.config.rounds + 1):
                # A round goes on from what the one before has kept, in order of the items' numbers.
                seeds = [dialogue for _, dialogue in sorted(self._kept.get(round - 1, {}).items())] or self.seeds
                planned = planned_round(round, self.config.items, seeds, self.config.operations, self.config.seed)
                items = [item for item in planned if not self._is_done(item)]
                if items and writer is None:
                    generator = generator or open_generator(self.config, self.config.seed)
                    writer = ItemWriter(self.config, generator, self._known.twin)
                    self._progress.begin(self._done.values())
                if items and not self.stopped:
                    await self._make(items, writer)
        finally:
            self._progress.close()
            if generator is not None:
                self.retries = dict(generator.retries)
                await generator.close()

    async def _make(self, items: Iterable[PlannedItem], writer: ItemWriter) -> None:
        async def work(item: PlannedItem) -> bool:
            self._finish(await writer.outcome(item))
            return not self.stopped

        await work_through(items, work, self.config.workers)

    def _finish(self, outcome: Outcome) -> None:
        """Into the journal with it. Of two twins that were written at the same time, the later one goes."""
        if outcome.outcome == KEPT:
            operation = outcome.dialogue.provenance["operation"]
            if fault := self._known.twin(operation, outcome.new_messages):
                outcome.outcome, outcome.reason, outcome.detail = REJECTED, *fault
        self.journal.append(outcome)
        self._take_note(outcome)
        self._progress.show(outcome.outcome, self._stop_rule.cost)
        self._stop_rule.note(f"{outcome.reason} ({outcome.detail})" if outcome.outcome == FAILED else "")

    def _take_note(self, outcome: Outcome) -> None:
        self._done[outcome.number] = outcome.outcome
        self._stop_rule.cost += self.config.price(outcome.prompt_tokens, outcome.completion_tokens)
        if outcome.outcome == KEPT:
            self._kept.setdefault(outcome.round, {})[outcome.item] = outcome.dialogue
            operation = outcome.dialogue.provenance["operation"]
            self._known.add_item(outcome.dialogue.id, operation, outcome.new_messages)

    def _is_done(self, item: PlannedItem) -> bool:
        outcome = self._done.get((item.round, item.item))
        return outcome is not None and not (self.config.retry_failed and outcome == FAILED)


def _check_folder(output: Path, config: AugmentDialoguesConfig) -> None:
    """Raises InputError where a folder holds something else, or decisions of people that would be lost."""
    begun = (output / REQUEST_NAME).is_file()
    if not begun and any(path.name not in (LOCK_NAME, SEEDS_SET_ASIDE_NAME) for path in output.iterdir()):
        raise InputError(f"{output} holds files that are not of this recipe; choose another --output_dir")
    if begun and config.overwrite_output_dir:
        if (output / DECISIONS_NAME).is_file():
            raise InputError(f"{output / DECISIONS_NAME} holds decisions of people; move it away before you begin anew")
        for name in MADE_NAMES:
            (output / name).unlink(missing_ok=True)


def _claim(output: Path, config: AugmentDialoguesConfig, seeds: list[Dialogue]) -> None:
    """Notes what is asked for; raises InputError where the folder's journal is of another request."""
    said = [[seed.id, seed.key, seed.language] for seed in seeds]
    wanted = {each.name: getattr(config, each.name) for each in fields(config) if each.name not in FREE_SETTINGS}
    for language in LANGUAGES:
        prompts = prompts_in(language, config.prompts)
        wanted[f"prompts_{language}"] = {name: prompts.digest(name) for name in prompts.templates}
    wanted["seed_dialogues"] = "sha256:" + hashlib.sha256(json.dumps(said).encode()).hexdigest()
    wanted = json.loads(json.dumps(wanted))
    path = output / REQUEST_NAME
    if path.is_file():
        begun = read_json(path, "recipes/augment_dialogues.py")
        if other := sorted(name for name in begun.keys() | wanted.keys() if begun.get(name) != wanted.get(name)):
            raise InputError(
                f"{output} was begun with other settings ({', '.join(other)}); take those, choose another "
                "--output_dir, or begin anew with --overwrite_output_dir true"
            )
    else:
        write_json(path, wanted)
