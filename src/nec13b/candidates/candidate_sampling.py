"""The sampling of candidates (section 5 of the paper): models answer prompts of people, and pairs are chosen.

One model after another is loaded and answers what it has not answered yet; each answer is a line of a journal before
anything else happens. So a run may be killed at any time and goes on by the same command. Every answer has a seed made
from its prompt, its model's and its number: neither the batch it falls into nor a kill changes what it says.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..corpus import Rejections
from ..dialogues.dialogue import Dialogue
from ..errors import InputError
from ..generation.generator import GenerationFailed, Generator
from ..generation.generator_settings import GeneratorSettings
from ..generation.generators import open_generator
from ..generation.work import Progress, StopRule, run_all, work_through
from ..preferences.judgement_files import PAIRS_NAME, write_rows
from ..run_record import LOCK_NAME, alone_in, read_json, write_json
from .candidates_config import SampleCandidatesConfig
from .candidates_report import answer_counts, pair_counts
from .check_pairs import planted_checks, with_checks
from .model_entry import ModelEntry
from .pair_choice import Choice, chosen_pairs
from .prompt_sources import parse_prompt_sources, read_prompts
from .sampled_answer import FAILED, STATES, AnswerJournal, SampledAnswer

REQUEST_NAME, JOURNAL_NAME, REPORT_NAME = "candidates.json", "answers.jsonl", "report.json"
DROPPED_NAME, PROMPTS_SET_ASIDE_NAME = "dropped_answers.jsonl", "rejected_prompts.jsonl"
LINES_SET_ASIDE_NAME = "rejected_lines.jsonl"
MADE_NAMES = (REQUEST_NAME, JOURNAL_NAME, REPORT_NAME, PAIRS_NAME, DROPPED_NAME, PROMPTS_SET_ASIDE_NAME,
              LINES_SET_ASIDE_NAME)  # fmt: skip
# What decides the answers and the pairs; the models and the prompts say the rest.
DECISIVE = ("seed", "pairs_per_prompt", "near_identical", "min_length_ratio", "pair_criteria", "allowed_faults",
            "check_pairs", "request_options")  # fmt: skip
OpenGenerator = Callable[[GeneratorSettings, int], Generator]


def sample_candidates(config: SampleCandidatesConfig, opened: OpenGenerator = open_generator) -> dict[str, Any]:
    """Asks for the answers that are not there yet, and writes pairs, what was dropped, and the report.

    Args:
        config: the settings.
        opened: gives the generator of a model.

    Returns:
        The content of `report.json`; `stopped` says why, where the run ended before all answers were asked for.

    Raises:
        InputError: bad settings or prompts, a model that cannot be had, a folder of another run.
    """
    sources, entries, output = parse_prompt_sources(config.prompts), config.model_entries(), Path(config.output_dir)
    with alone_in(output):
        _check_folder(output, config)
        set_aside = Rejections(output / PROMPTS_SET_ASIDE_NAME)
        prompts = read_prompts(sources, set_aside, config.max_prompt_characters, config.max_prompts)
        identities = _claim(output, config, entries)
        lines = Rejections(output / LINES_SET_ASIDE_NAME)
        run = SamplingRun(config, entries, prompts, AnswerJournal(output / JOURNAL_NAME, lines), opened)
        try:
            run_all(run.ask())
        finally:
            run.journal.close()
        choices = list(_choices(config, entries, identities, prompts, run))
        checks = planted_checks(choices, config.check_pairs, config.seed)
        pairs = with_checks([pair for choice in choices for pair in choice.pairs], checks)
        write_rows(output / PAIRS_NAME, pairs)
        write_rows(output / DROPPED_NAME, [dropped for choice in choices for dropped in choice.dropped])
        report = {
            "stopped": run.stopped,
            "prompts": len(prompts),
            **answer_counts(entries, len(prompts), run.answers.values()),
            **pair_counts(choices, len(checks), config.min_length_ratio),
            "cost": round(run.cost, 6),
            "retries": run.retries,
            "prompts_set_aside": dict(set_aside.counts),
            "unreadable_lines": dict(lines.counts),
            "models": identities,
        }
        write_json(output / REPORT_NAME, report)
    return report


class SamplingRun:
    """Asks every model for the answers that the journal does not hold yet.

    Args:
        config: the settings.
        entries: the models.
        prompts: to be answered.
        journal: of what was done before, and of what is done now.
        opened: gives the generator of a model.

    Attributes:
        answers: the last one of each place.
        retries: how often requests were sent again, by reason.
    """

    def __init__(self, config: SampleCandidatesConfig, entries: list[ModelEntry], prompts: list[Dialogue],
                 journal: AnswerJournal, opened: OpenGenerator):  # fmt: skip
        self.config, self.entries, self.prompts, self.journal, self._opened = config, entries, prompts, journal, opened
        self.answers: dict[tuple[str, str, int], SampledAnswer] = {}
        self.retries: dict[str, int] = {}
        self._by_label = {entry.label: entry for entry in entries}
        self._stop_rule = StopRule("answers", config.stop_after_failures, config.budget)
        wanted = {(p.key, entry.label, number) for entry in entries for p, number in self._places(entry)}
        for answer in journal.records():
            if answer.place in wanted:
                self._take_note(answer)
        self._progress = Progress("answer", len(wanted), STATES)
        self._progress.begin(answer.state for answer in self.answers.values())

    @property
    def stopped(self) -> str:
        """Why the run ended early, or nothing."""
        return self._stop_rule.stopped

    @property
    def cost(self) -> float:
        """Of all answers, in the currency of the prices."""
        return self._stop_rule.cost

    async def ask(self) -> None:
        """Goes through the models, one in memory at a time; opens only one that is left something to do."""
        settings, generator = None, None
        try:
            for entry in self.entries:
                left = [place for place in self._places(entry) if self._is_left(entry, *place)]
                if not left or self.stopped:
                    continue
                if generator is None or settings != entry.settings:  # else only the temperature is another
                    await self._close(generator)
                    settings, generator = entry.settings, None
                    generator = self._opened(entry.settings, entry.seed)
                await self._ask_model(entry, generator, left)
        finally:
            self._progress.close()
            await self._close(generator)

    async def _ask_model(self, entry: ModelEntry, generator: Generator, places: list[tuple[Dialogue, int]]) -> None:
        async def work(place: tuple[Dialogue, int]) -> bool:
            prompt, number = place
            seed = entry.seed_of(prompt.key, number)
            try:
                completion = await generator.complete(prompt.messages, entry.sampling, seed)
                answer = SampledAnswer.of(prompt.key, entry, number, seed, completion)
            except GenerationFailed as failed:
                answer = SampledAnswer(
                    prompt.key, entry.label, number, seed, failure=failed.reason, detail=failed.detail
                )
            self.journal.append(answer)
            self._take_note(answer)
            self._progress.show(answer.state, self.cost)
            self._stop_rule.note(f"{answer.failure} ({answer.detail})" if answer.state == FAILED else "")
            return not self.stopped

        await work_through(places, work, entry.settings.workers)

    async def _close(self, generator: Generator | None) -> None:
        if generator is not None:
            for reason, count in generator.retries.items():
                self.retries[reason] = self.retries.get(reason, 0) + count
            await generator.close()

    def _places(self, entry: ModelEntry) -> Iterator[tuple[Dialogue, int]]:
        return ((prompt, number) for prompt in self.prompts for number in range(1, entry.answers + 1))

    def _is_left(self, entry: ModelEntry, prompt: Dialogue, number: int) -> bool:
        answer = self.answers.get((prompt.key, entry.label, number))
        return answer is None or (self.config.retry_failed and answer.state == FAILED)

    def _take_note(self, answer: SampledAnswer) -> None:
        self.answers[answer.place] = answer
        settings = self._by_label[answer.model].settings
        self._stop_rule.cost += settings.price(answer.prompt_tokens, answer.completion_tokens)


def _choices(config: SampleCandidatesConfig, entries: list[ModelEntry], identities: list[dict],
             prompts: list[Dialogue], run: SamplingRun) -> Iterator[Choice]:  # fmt: skip
    """What comes of the prompts whose answers have all been asked for; pairs of others might change yet."""
    for prompt in prompts:
        candidates, whole = [], True
        for entry, identity in zip(entries, identities):
            for number in range(1, entry.answers + 1):
                answer = run.answers.get((prompt.key, entry.label, number))
                whole = whole and answer is not None
                if answer is not None and answer.state != FAILED:
                    candidates.append(answer.as_candidate(entry, identity["fingerprint"]))
        if whole:
            yield chosen_pairs(prompt, candidates, config.choice_rule)


def _check_folder(output: Path, config: SampleCandidatesConfig) -> None:
    """Raises InputError where a folder holds something else; empties it where it should be begun anew."""
    begun = (output / REQUEST_NAME).is_file()
    if not begun and any(path.name not in (LOCK_NAME, PROMPTS_SET_ASIDE_NAME) for path in output.iterdir()):
        raise InputError(f"{output} holds files that are not of this recipe; choose another --output_dir")
    if begun and config.overwrite_output_dir:
        for name in MADE_NAMES:
            (output / name).unlink(missing_ok=True)


def _claim(output: Path, config: SampleCandidatesConfig, entries: list[ModelEntry]) -> list[dict[str, Any]]:
    """Notes what is asked for, and returns what the models are; raises InputError where the journal is of another run.

    Prompts may be added, since answers are kept by prompt; nothing else may change what is in the journal already.
    """
    identities = [entry.identity() for entry in entries]
    models = {identity["label"]: identity for identity in identities}
    wanted = json.loads(json.dumps({name: getattr(config, name) for name in DECISIVE} | {"models": models}))
    path = output / REQUEST_NAME
    if path.is_file():
        if other := _differences(read_json(path, "recipes/sample_candidates.py"), wanted):
            raise InputError(
                f"{output} was begun with other settings ({', '.join(other)}); take those, choose another "
                "--output_dir, or begin anew with --overwrite_output_dir true"
            )
    else:
        write_json(path, wanted)
    return identities


def _differences(begun: dict, wanted: dict) -> list[str]:
    """The names of settings that are not the same; of models that are called alike, what of them."""
    differing = [name for name in wanted if begun.get(name) != wanted[name]]
    ours, theirs = wanted["models"], begun.get("models")
    if "models" in differing and isinstance(theirs, dict) and theirs.keys() == ours.keys():
        differing.remove("models")
        differing += [
            f"{name} of {label}"
            for label in ours
            for name in ours[label]
            if ours[label][name] != theirs[label].get(name)
        ]
    return differing
