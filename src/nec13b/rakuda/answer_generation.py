"""A model answers questions: a checkpoint here or an endpoint, interrupted or not, each question once."""

import hashlib
import re
import time
from pathlib import Path
from typing import Any

from ..checkpoint_fingerprint import fingerprint_of_checkpoint
from ..corpus import Rejections
from ..errors import InputError
from ..generation.generator import GenerationFailed, Generator, Sampling
from ..generation.generators import open_generator
from ..generation.journal import Journal
from ..generation.work import Progress, StopRule, run_all, work_through
from ..run_record import alone_in
from .answers import ModelAnswer
from .questions import RAKUDA_DIGEST, Question, digest_of, read_questions
from .rakuda_config import RakudaAnswersConfig

AGAIN = "run the command again"  # what failed is asked again, since nothing of it was kept
ANSWERED, FAILED = OUTCOMES = ("answered", "failed")


class AnswerJournal(Journal[ModelAnswer]):
    """The answers of a model, as `answers.jsonl` of Rakuda."""

    record_class = ModelAnswer


def answer_questions(config: RakudaAnswersConfig, generator: Generator | None = None) -> dict[str, Any]:
    """Asks a model what it has not been asked yet.

    Args:
        config: the settings.
        generator: in place of the one that the settings name.

    Returns:
        What became of it: `path` of the answers, counts, tokens, cost, `stopped` where the run ended early.

    Raises:
        InputError: bad settings or questions, a generator that cannot be had, answers of other settings in the file.
    """
    path = answers_path(config)
    with alone_in(path.with_suffix("")):
        set_aside = Rejections(path.with_suffix("") / "rejected_lines.jsonl")
        questions = read_questions(config.questions, set_aside, config.questions_revision)
        run = _AnswerRun(config, questions, path, set_aside)
        try:
            run_all(run.ask(generator))
        finally:
            run.journal.close()
    return run.account()


def answers_path(config: RakudaAnswersConfig) -> Path:
    """The file of a model's answers; the folder of the same name beside it holds the record of the run."""
    name = re.sub(r"[^\w+-]+", "_", config.name or config.model).strip("_")
    return Path(config.output_dir) / f"{name}.jsonl"


def answers_text(account: dict[str, Any]) -> str:
    """What became of the questions, for a terminal."""
    failed = account["failed_by_reason"]
    lines = [
        f"{account['model']} answered {account['answered']:,} of {account['questions']:,} questions"
        + (f", {account['cut']:,} cut at answer_tokens" if account["cut"] else "")
        + (f", {account['empty']:,} empty" if account["empty"] else "")
        + (f"; {account['characters'] / account['answered']:,.0f} characters each" if account["answered"] else "")
    ]
    if failed:
        lines.append("failed: " + ", ".join(f"{count:,} {reason}" for reason, count in failed.items()))
    if account["questions_digest"] != RAKUDA_DIGEST:
        lines.append("these are not Rakuda's 40 questions, so results cannot be compared with those published")
    return "\n".join([*lines, account["path"]])


class _AnswerRun:
    def __init__(self, config: RakudaAnswersConfig, questions: list[Question], path: Path, set_aside: Rejections):
        self.config, self.questions = config, questions
        self.name = config.name or config.model
        self.journal = AnswerJournal(path, set_aside)
        self.sampling = Sampling(config.answer_tokens, config.temperature, config.top_p)
        self.retries: dict[str, int] = {}
        self.failures: dict[str, str] = {}
        self._made_with = {"checkpoint": config.model, "sampling": self.sampling.to_row(), "seed": config.seed,
                           "system": config.system}  # fmt: skip
        # Which weights a server has is not known.
        place = str(Path(config.model, config.gguf_file)) if config.gguf_file else config.model
        self._fingerprint = "" if config.generator == "endpoint" else fingerprint_of_checkpoint(place)
        self._rule = StopRule("questions", config.stop_after_failures, config.budget, AGAIN)
        self._answers: dict[str, ModelAnswer] = {}
        for answer in self.journal.records():
            self._check(answer)
            self._answers[answer.question_id] = answer

    async def ask(self, generator: Generator | None) -> None:
        """Asks the questions that are left; opens a generator only where there is one."""
        left = [question for question in self.questions if question.id not in self._answers]
        if not left:
            return
        progress = Progress("question", len(self.questions), OUTCOMES)
        progress.begin([ANSWERED] * (len(self.questions) - len(left)))
        generator = generator or open_generator(self.config, self.config.seed)

        async def work(question: Question) -> bool:
            failure = await self._ask(generator, question)
            progress.show(FAILED if failure else ANSWERED, self._rule.cost)
            self._rule.note(failure)
            return not self._rule.stopped

        try:
            await work_through(left, work, self.config.workers)
        finally:
            progress.close()
            self.retries = dict(generator.retries)
            await generator.close()

    async def _ask(self, generator: Generator, question: Question) -> str:
        """Why there is no answer, or nothing."""
        system = [{"role": "system", "content": self.config.system}] if self.config.system else []
        try:
            reply = await generator.complete(
                [*system, {"role": "user", "content": question.text}], self.sampling, self._seed(question)
            )
        except GenerationFailed as failure:
            self.failures[question.id] = failure.reason
            return str(failure)
        provenance = self._made_with | {
            "fingerprint": self._fingerprint, "question": digest_of([question]), "finish_reason": reply.finish_reason,
            "prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.completion_tokens,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }  # fmt: skip
        answer = ModelAnswer(question.id, self.name, reply.text.strip(), provenance)
        self.journal.append(answer)
        self._answers[question.id] = answer
        self._rule.cost += self.config.price(reply.prompt_tokens, reply.completion_tokens)
        return ""

    def _seed(self, question: Question) -> int:
        return int.from_bytes(hashlib.sha256(f"{self.config.seed} {question.id}".encode()).digest()[:4], "big")

    def _check(self, answer: ModelAnswer) -> None:
        """Raises InputError where the file holds answers that were asked for in another way."""
        made = {name: answer.provenance.get(name) for name in self._made_with}
        asked = {question.id: digest_of([question]) for question in self.questions}
        same = answer.provenance.get("question") == asked.get(answer.question_id, answer.provenance.get("question"))
        same &= answer.provenance.get("fingerprint", self._fingerprint) == self._fingerprint  # a model trained anew
        if answer.model != self.name or made != self._made_with or not same:
            raise InputError(
                f"{self.journal.path} holds answers of another checkpoint, to other questions or with other sampling; "
                "give this model another --name, or choose another --output_dir"
            )

    def account(self) -> dict[str, Any]:
        """What became of the questions."""
        answers = [self._answers[question.id] for question in self.questions if question.id in self._answers]
        tokens = [sum(answer.provenance[name] for answer in answers) for name in ("prompt_tokens", "completion_tokens")]
        reasons: dict[str, int] = {}
        for reason in self.failures.values():
            reasons[reason] = reasons.get(reason, 0) + 1
        return {
            "path": str(self.journal.path), "model": self.name, "questions": len(self.questions),
            "answered": len(answers), "failed_by_reason": reasons,
            "left": len(self.questions) - len(answers) - len(self.failures),
            "cut": sum(answer.provenance["finish_reason"] == "length" for answer in answers),
            "empty": sum(not answer.text for answer in answers),
            "characters": sum(len(answer.text) for answer in answers), "retries": self.retries,
            "prompt_tokens": tokens[0], "completion_tokens": tokens[1], "cost": self.config.price(*tokens),
            "questions_digest": digest_of(self.questions), "set_aside": dict(self.journal.rejections.counts),
            "stopped": self._rule.stopped,
        }  # fmt: skip
