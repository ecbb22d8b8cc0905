"""A judge reads pairs of answers: GPT-4, any other endpoint or a model here; no comparison is judged twice.

Each review goes into a journal before anything else, under a digest of all that was sent. So a run may be killed at
any time and goes on by the same command, more models or questions can be added later, and what was paid for once is not
paid for again. `matches.jsonl` is made from the journal, and holds the comparisons that are asked for now.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..corpus import Rejections
from ..generation.generator import GenerationFailed, Generator, Sampling
from ..generation.generators import open_generator
from ..generation.journal import Journal
from ..generation.work import Progress, StopRule, run_all, work_through
from ..run_record import alone_in
from .answers import checkpoints_of, chosen, read_answers
from .comparisons import Comparison, Forecast, characters_of, planned_comparisons, request_key
from .judge_prompt import JudgePrompt, read_judge_prompt
from .matches import MATCHES_NAME, Match, write_matches
from .questions import digest_of, read_questions
from .rakuda_config import RakudaJudgeConfig
from .rakuda_rows import SAMPLE
from .replay import replayed
from .verdicts import UNREADABLE, verdict_of

JOURNAL_NAME, SET_ASIDE_NAME = "reviews.jsonl", "rejected_lines.jsonl"
AGAIN = "run the command again"  # what failed is asked again, since nothing of it was kept
CUT = "length"  # the finish_reason of a review that was not finished
JUDGED, NO_VERDICT, FAILED = OUTCOMES = ("judged", "unreadable", "failed")


@dataclass(frozen=True)
class Review:
    """What a judge said of one comparison, as a line of the journal.

    Attributes:
        key: digest of the request.
        text: the review.
        finish_reason: `stop`, or `length` where it was cut.
        judge: the model.
        prompt: name of the prompt.
        prompt_digest: of its text.
        prompt_characters, prompt_tokens, completion_tokens: what it took.
        time: when.
    """

    key: str
    text: str
    finish_reason: str
    judge: str
    prompt: str
    prompt_digest: str
    prompt_characters: int
    prompt_tokens: int
    completion_tokens: int
    time: str

    @classmethod
    def from_row(cls, row: Any) -> "Review":
        """From a line of the journal; raises ValueError or TypeError where it is none."""
        review = cls(**row)
        counts = (review.prompt_characters, review.prompt_tokens, review.completion_tokens)
        if not isinstance(review.text, str) or not all(isinstance(count, int) for count in counts):
            raise ValueError("no review")
        return review

    def to_row(self) -> dict[str, Any]:
        """As a line of the journal."""
        return asdict(self)

    def verdict(self, output_format: str) -> str:
        """The verdict; a review that was cut has none, whatever digit it ends with."""
        return UNREADABLE if self.finish_reason == CUT else verdict_of(self.text, output_format)


class ReviewJournal(Journal[Review]):
    """The reviews of a folder."""

    record_class = Review


@dataclass(frozen=True)
class Judged:
    """The outcome of a run.

    Attributes:
        matches: the comparisons that have a review.
        account: counts of comparisons, tokens, cost, and what the judge was.
        models: by name, [checkpoint, fingerprint] of the models that are known to have answered.
    """

    matches: list[Match]
    account: dict[str, Any]
    models: dict[str, list[str]]


def judged(config: RakudaJudgeConfig, generator: Generator | None = None) -> Judged:
    """Has a judge review what it has not reviewed yet, and writes `matches.jsonl`.

    Args:
        config: the settings; of a replay, the reviews are read instead.
        generator: in place of the one that the settings name.

    Raises:
        InputError: bad settings, questions, answers or prompt, or a judge that cannot be had.
    """
    output = Path(config.output_dir)
    with alone_in(output):
        if config.is_replay:
            found = _replayed(config, Rejections(output / SET_ASIDE_NAME))
            write_matches(output / MATCHES_NAME, found.matches)
            return found
        run = JudgeRun(config, Rejections(output / SET_ASIDE_NAME))
        try:
            run_all(run.review(generator))
        finally:
            run.journal.close()
        matches = run.matches()
        write_matches(output / MATCHES_NAME, matches)
    return Judged(matches, run.account(), checkpoints_of(run.answers))


def _replayed(config: RakudaJudgeConfig, set_aside: Rejections) -> Judged:
    """Recorded reviews; where answers are named, too, only those of these very answers."""
    prompt = read_judge_prompt(config.judge_prompt, config.prompt_name)
    answers = None if config.answers == [SAMPLE] else chosen(read_answers(config.answers, set_aside), config.models)
    replay = replayed([config.model], prompt.output_format, set_aside, answers)
    unreadable = sum(match.verdict == UNREADABLE for match in replay.matches)
    account = {
        "comparisons": len(replay.matches), JUDGED: len(replay.matches) - unreadable, NO_VERDICT: unreadable, FAILED: 0,
        "left": 0, "requests": 0, "reviews_read": replay.reviews, "as_recorded": replay.as_recorded,
        "of_other_answers": replay.other_answers, "cost": 0.0, "judge": f"replay of {config.model}",
        "set_aside": dict(set_aside.counts), "stopped": "",
    }  # fmt: skip
    return Judged(replay.matches, account, checkpoints_of(answers or {}))


def forecast(config: RakudaJudgeConfig) -> tuple[Forecast, int]:
    """What the run would take that these settings ask for, and how many comparisons it is for; nobody is asked."""
    run = JudgeRun(config, Rejections())
    return run.forecast(), len(run.comparisons)


def account_text(account: dict[str, Any]) -> str:
    """What became of the comparisons, for a terminal."""
    lines = [
        f"{account['comparisons']:,} comparisons: {account[JUDGED]:,} with a verdict, {account[NO_VERDICT]:,} without "
        f"a readable one, {account[FAILED]:,} failed, {account['left']:,} not asked"
    ]
    if account.get("failed_by_reason"):
        lines.append("failed: " + ", ".join(f"{n:,} {reason}" for reason, n in account["failed_by_reason"].items()))
    if account.get("cut"):
        lines.append(f"{account['cut']:,} reviews were cut at review_tokens and count as unreadable")
    if "as_recorded" in account:
        lines.append(f"{account['as_recorded']:,} of {account['reviews_read']:,} reviews read as was recorded")
    elif account["cost"]:
        lines.append(
            f"{account['prompt_tokens']:,} + {account['completion_tokens']:,} tokens, cost {account['cost']:,.4g}"
        )
    for reason, count in account["set_aside"].items():
        lines.append(f"set aside: {count:,} x {reason}")
    return "\n".join(lines)


class JudgeRun:
    """The comparisons that are asked for, and the reviews there are.

    Args:
        config: the settings.
        set_aside: takes note of rows that cannot be used.

    Attributes:
        answers: of the models that are compared.
        comparisons: in their order.
        journal: of all reviews of the folder.
        failures: why a request failed, by key.
    """

    def __init__(self, config: RakudaJudgeConfig, set_aside: Rejections):
        self.config, self.set_aside = config, set_aside
        self.prompt: JudgePrompt = read_judge_prompt(config.judge_prompt, config.prompt_name)
        self.questions = read_questions(config.questions, set_aside, config.questions_revision)
        self.answers = chosen(read_answers(config.answers, set_aside), config.models)
        self.comparisons: Sequence[Comparison] = planned_comparisons(
            self.questions, self.answers, config.baseline, config.both_orders, config.seed, set_aside
        )
        self.sampling = Sampling(config.review_tokens, config.temperature, config.top_p)
        self.journal = ReviewJournal(Path(config.output_dir) / JOURNAL_NAME, set_aside)
        self._reviews = {review.key: review for review in self.journal.records()}
        self._keys = [self._key(comparison) for comparison in self.comparisons]
        self.failures: dict[str, str] = {}
        self.retries: dict[str, int] = {}
        self._rule = StopRule("comparisons", config.stop_after_failures, config.budget, AGAIN)
        self._rule.cost = sum(self._cost(self._reviews[key]) for key in set(self._keys) & self._reviews.keys())

    def left(self) -> dict[str, Comparison]:
        """By key, the comparisons without a review; those whose requests are the same once."""
        return {key: one for key, one in zip(self._keys, self.comparisons) if key not in self._reviews}

    def forecast(self) -> Forecast:
        """What the comparisons that are left will take."""
        config, left = self.config, self.left()
        seen = [review for review in self._reviews.values() if review.prompt_tokens
                and review.judge == config.model and review.prompt_digest == self.prompt.digest]  # fmt: skip
        per_character, per_review = config.tokens_per_character, float(config.expected_review_tokens)
        if seen:
            per_character = sum(review.prompt_tokens for review in seen) / sum(r.prompt_characters for r in seen)
            per_review = sum(review.completion_tokens for review in seen) / len(seen)
        characters = sum(characters_of(comparison.messages(self.prompt)) for comparison in left.values())
        prompt_tokens, completion_tokens = round(characters * per_character), round(len(left) * per_review)
        cost = config.price(prompt_tokens, completion_tokens)
        most = config.price(prompt_tokens, len(left) * config.review_tokens)
        return Forecast(len(left), prompt_tokens, completion_tokens, cost, max(cost, most), bool(seen))

    async def review(self, generator: Generator | None) -> None:
        """Asks the judge what is left; opens a generator only where something is."""
        left = self.left()
        self._rule.note("")  # what was spent before counts, too
        if not left or self._rule.stopped:
            return
        progress = Progress("comparison", len(set(self._keys)), OUTCOMES)
        progress.begin(self._outcome(key) for key in dict.fromkeys(self._keys) if key in self._reviews)
        generator = generator or open_generator(self.config, self.config.seed)

        async def work(item: tuple[str, Comparison]) -> bool:
            key, comparison = item
            failure = await self._ask(generator, key, comparison)
            progress.show(FAILED if failure else self._outcome(key), self._rule.cost)
            self._rule.note(failure)
            return not self._rule.stopped

        try:
            await work_through(left.items(), work, self.config.workers)
        finally:
            progress.close()
            self.retries = dict(generator.retries)
            await generator.close()

    async def _ask(self, generator: Generator, key: str, comparison: Comparison) -> str:
        """Why there is no review, or nothing."""
        messages = comparison.messages(self.prompt)
        seed = None if not self.config.temperature else int(hashlib.sha256(key.encode()).hexdigest()[:8], 16)
        try:
            reply = await generator.complete(messages, self.sampling, seed)
        except GenerationFailed as failure:
            self.failures[key] = failure.reason
            return str(failure)
        review = Review(
            key, reply.text, reply.finish_reason, self.config.model, self.prompt.name, self.prompt.digest,
            characters_of(messages), reply.prompt_tokens, reply.completion_tokens,
            time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        )  # fmt: skip
        self.journal.append(review)
        self._reviews[key] = review
        self._rule.cost += self._cost(review)
        return ""

    def matches(self) -> list[Match]:
        """The comparisons with a review, in their order."""
        found = []
        for key, comparison in zip(self._keys, self.comparisons):
            if (review := self._reviews.get(key)) is not None:
                said = {name: value for name, value in review.to_row().items() if name not in ("text", "key")}
                found.append(
                    Match(
                        *comparison.key, review.verdict(self.prompt.output_format), review.text,
                        comparison.question.text, comparison.first.text, comparison.second.text, said,
                    )
                )  # fmt: skip
        return found

    def account(self) -> dict[str, Any]:
        """What became of every comparison, and what it took."""
        keys = set(self._keys)
        outcomes = Counter(self._outcome(key) for key in self._keys)
        reviews = [self._reviews[key] for key in keys & self._reviews.keys()]
        tokens = [sum(getattr(r, name) for r in reviews) for name in ("prompt_tokens", "completion_tokens")]
        return {
            "comparisons": len(self._keys), **{name: outcomes[name] for name in (*OUTCOMES, "left")},
            "requests": len(keys), "failed_by_reason": dict(Counter(self.failures.values())),
            "cut": sum(review.finish_reason == CUT for review in reviews), "retries": self.retries,
            "prompt_tokens": tokens[0], "completion_tokens": tokens[1], "cost": sum(map(self._cost, reviews)),
            "judge": self.config.model, "prompt": self.prompt.name, "prompt_digest": self.prompt.digest,
            "questions_digest": digest_of(self.questions), "set_aside": dict(self.set_aside.counts),
            "stopped": self._rule.stopped,
        }  # fmt: skip

    def _outcome(self, key: str) -> str:
        if key in self._reviews:
            unreadable = self._reviews[key].verdict(self.prompt.output_format) == UNREADABLE
            return NO_VERDICT if unreadable else JUDGED
        return FAILED if key in self.failures else "left"

    def _key(self, comparison: Comparison) -> str:
        options = self.config.request_options | ({"seed": self.config.seed} if self.config.temperature else {})
        return request_key(self.config.model, comparison.messages(self.prompt), self.sampling, options)

    def _cost(self, review: Review) -> float:
        return self.config.price(review.prompt_tokens, review.completion_tokens)
