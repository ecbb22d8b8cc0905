"""How an item is written: the model writes a question, answers it, and grades the answer, with checks after each."""

import dataclasses
import time
from collections.abc import Callable

from ..dialogues.dialogue import Message
from ..generation.generator import Completion, GenerationFailed, Generator, Sampling
from .augmentation_config import AugmentDialoguesConfig
from .augmentation_plan import PlannedItem
from .augmentation_prompts import FURTHER, VARIED, PromptSet, prompts_in
from .item_checks import Fault, answer_fault, question_fault
from .outcome_journal import FAILED, KEPT, REJECTED, Outcome
from .reply_parsing import without_thought, written_instruction, written_score

GRADE_ATTEMPTS = 2
SOURCE = "augmented"
# (operation, messages that were written) -> what is known that is too much like them.
TwinSearch = Callable[[str, list[Message]], Fault | None]


class ItemWriter:
    """Writes items with a generator.

    Args:
        config: sampling, limits, wanted grade.
        generator: writes the replies.
        twin: finds near duplicates of what was written, among seeds and kept items.
    """

    def __init__(self, config: AugmentDialoguesConfig, generator: Generator, twin: TwinSearch):
        self.config, self.generator, self.twin = config, generator, twin
        self.question = Sampling(config.question_tokens, config.temperature, config.top_p)
        self.answer = Sampling(config.answer_tokens, config.temperature, config.top_p)

    async def outcome(self, item: PlannedItem) -> Outcome:
        """What became of an item; only what a person has to mend is raised, as InputError."""
        writing = _Writing(self, item)
        try:
            await writing.write()
        except _Rejected as rejected:
            return writing.outcome(REJECTED, rejected.fault)
        except GenerationFailed as failure:
            return writing.outcome(FAILED, Fault(failure.reason, failure.detail))
        return writing.outcome(KEPT, Fault(""))


class _Rejected(Exception):
    def __init__(self, fault: Fault):
        super().__init__(fault.reason)
        self.fault = fault


class _Writing:
    """One item while it is written."""

    def __init__(self, writer: ItemWriter, item: PlannedItem):
        self.writer, self.item = writer, item
        self.prompts: PromptSet = prompts_in(item.seed.language, writer.config.prompts)
        self.topic, self.persona = self.prompts.subjects(item.choice)
        self.messages = self._beginning()
        self.new_from = len(self.messages)
        self.score: int | None = None
        self.requests = self.prompt_tokens = self.completion_tokens = self.unreadable_grades = 0

    def _beginning(self) -> list[Message]:
        """What a new item keeps of its seed."""
        messages = self.item.seed.messages
        if self.item.operation == FURTHER:
            return list(messages)
        # A system message may not fit another subject.
        keeps_system = self.item.operation not in VARIED
        return [m for m in messages[:1] if m["role"] == "system" and keeps_system]

    async def write(self) -> None:
        exchanges = self.writer.config.further_exchanges if self.item.operation == FURTHER else 1
        for _ in range(exchanges):
            await self._write_question()
            await self._write_answer()
        if self.writer.config.min_score:
            await self._grade()

    async def _write_question(self) -> None:
        context = self.messages if self.item.operation == FURTHER else self.item.seed.messages
        prompt = self.prompts.for_question(self.item.operation, context, self.topic, self.persona)
        completion = await self._completion([Message(role="user", content=prompt)], self.writer.question)
        question = written_instruction(without_thought(completion.text))
        template = self.prompts.templates[self.item.operation]
        language, config = self.item.seed.language, self.writer.config
        fault = question_fault(completion, question, template, self.messages, language, config)
        if question:
            self.messages.append(Message(role="user", content=question))
        self._reject(fault)
        if self.item.operation != FURTHER:  # a further question is told apart by its answer
            self._reject(self.writer.twin(self.item.operation, self.messages[self.new_from :]))

    async def _write_answer(self) -> None:
        completion = await self._completion(self.messages, self.writer.answer)
        answer = without_thought(completion.text).strip()
        fault = answer_fault(completion, answer, self.messages, self.item.seed.language, self.writer.config)
        self.messages.append(Message(role="assistant", content=answer))
        self._reject(fault or self.writer.twin(self.item.operation, self.messages[self.new_from :]))

    async def _grade(self) -> None:
        prompt = [Message(role="user", content=self.prompts.for_grade(self.messages))]
        for attempt in range(GRADE_ATTEMPTS):
            # The second attempt has to come out otherwise.
            temperature = 0.0 if attempt == 0 else max(0.5, self.writer.config.temperature)
            sampling = Sampling(self.writer.config.grade_tokens, temperature, self.writer.config.top_p)
            completion = await self._completion(prompt, sampling)
            self.score = written_score(without_thought(completion.text))
            if self.score is not None:
                break
            self.unreadable_grades += 1
        if self.score is None and not self.writer.config.keep_ungraded:
            raise _Rejected(Fault("no_grade", f"no grade in {completion.text.strip()[:100]!r}"))
        if self.score is not None and self.score < self.writer.config.min_score:
            raise _Rejected(Fault("low_score", f"graded {self.score}"))

    async def _completion(self, messages: list[Message], sampling: Sampling) -> Completion:
        self.requests += 1
        completion = await self.writer.generator.complete(messages, sampling)
        self.prompt_tokens += completion.prompt_tokens
        self.completion_tokens += completion.completion_tokens
        return completion

    def _reject(self, fault: Fault | None) -> None:
        if fault is not None:
            raise _Rejected(fault)

    def outcome(self, outcome: str, fault: Fault) -> Outcome:
        config, seed = self.writer.config, self.item.seed
        subject = {"new_topic": {"topic": self.topic}, "persona": {"persona": self.persona}}
        provenance = {
            "seed_id": seed.id,
            "operation": self.item.operation,
            **subject.get(self.item.operation, {}),
            "round": self.item.round,
            "model": self.writer.generator.model,
            "prompt_digest": self.prompts.digest(self.item.operation),
            "grade_prompt_digest": self.prompts.digest("grade") if config.min_score else None,
            "question_sampling": self.writer.question.to_row(),
            "answer_sampling": self.writer.answer.to_row(),
            "score": self.score,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        dialogue = dataclasses.replace(
            seed, messages=self.messages, id=self.item.id, source=SOURCE, provenance=provenance
        )
        return Outcome(
            self.item.round, self.item.item, outcome, dialogue, self.new_from, fault.reason, fault.detail,
            self.requests, self.prompt_tokens, self.completion_tokens, self.unreadable_grades,
        )  # fmt: skip
