"""One person's conversation with a model: what the terminal and the web page have in common.

A question and its answer are kept together or not at all, so the history is a dialogue at any time, whatever was
interrupted.
"""

import dataclasses
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..dialogues.dialogue import Dialogue, Message
from ..errors import InputError
from .answer import Answer
from .chat_model import ChatModel
from .history_window import messages_that_fit
from .settings import Sampling


@dataclass(frozen=True)
class Notice:
    """Something to tell the user beside the answer.

    Attributes:
        kind: a key of `interface_text.TEXT`.
        values: what its text has blanks for.
    """

    kind: str
    values: dict[str, Any] = field(default_factory=dict)


class ChatSession:
    """A conversation.

    Args:
        chat_model: who answers; many sessions may share it.
        sampling: how answers are drawn.
        system: the system prompt, or nothing.

    Attributes:
        messages: questions and answers in turn, without the system prompt.
        notices: what there is to tell; the front end shows and removes it.
    """

    def __init__(self, chat_model: ChatModel, sampling: Sampling | None = None, system: str = ""):
        self.chat_model, self.sampling, self.system = chat_model, sampling or Sampling(), system
        self.messages: list[Message] = []
        self.notices: list[Notice] = []
        self._current: Answer | None = None
        self._attempt = 0
        self._told_of_window = False
        self._new_identity()

    def ask(self, text: str) -> Iterator[str]:
        """Says something; gives the answer as it is written, and keeps both when it ends.

        Where the caller stops listening, the answer stops, and what it says so far is kept.

        Raises:
            InputError: there is nothing to say, it does not fit into the window, or the model fails.
        """
        if not text.strip():
            raise InputError("an empty message says nothing")
        self._attempt = 0
        return self._answered([*self.messages, Message(role="user", content=text)])

    def regenerate(self) -> Iterator[str]:
        """Another answer to the last question, in place of the last; as `ask` gives one."""
        if not self.messages:
            raise InputError("there is no answer yet")
        self._attempt += 1
        return self._answered(self.messages[:-1])

    def stop(self) -> None:
        """Ends the answer that is being written, if any; from any thread."""
        if self._current is not None:
            self._current.stop()

    def undo(self) -> str | None:
        """Takes back the last question and its answer; returns the question, None where there is none."""
        self._give_up_current()
        if not self.messages:
            return None
        question = self.messages[-2]["content"]
        self.messages = self.messages[:-2]
        return question

    def clear(self) -> None:
        """Begins another conversation; the system prompt and the settings stay."""
        self._give_up_current()
        self.messages, self._told_of_window = [], False
        self._new_identity()

    def dialogue(self) -> Dialogue:
        """The conversation so far, as it is saved.

        Raises:
            InputError: nothing was said yet.
        """
        if not self.messages:
            raise InputError("there is nothing to save yet")
        provenance = {"model": self.chat_model.name, "sampling": dataclasses.asdict(self.sampling)}
        return Dialogue(self._with_system(self.messages), self.id, source="chat", provenance=provenance)

    def load(self, dialogue: Dialogue) -> None:
        """Goes on from a saved dialogue and its system prompt."""
        self.clear()
        messages = list(dialogue.messages)
        self.system = messages.pop(0)["content"] if messages and messages[0]["role"] == "system" else ""
        self.messages = messages
        self.id = dialogue.id or self.id

    def _answered(self, messages: list[Message]) -> Iterator[str]:
        room = self.chat_model.window - self.chat_model.new_tokens(self.sampling)
        fitting, left_out = messages_that_fit(
            self._with_system(messages), lambda some: len(self.chat_model.prompt_ids(some)), room
        )
        if left_out and not self._told_of_window:
            self.notices.append(Notice("history_left_out", {"exchanges": left_out, "window": self.chat_model.window}))
            self._told_of_window = True
        prompt = self.chat_model.prompt_ids(fitting)
        answer = Answer(self.chat_model, prompt, self.sampling, self._attempt)
        return self._streamed(messages, answer)

    def _streamed(self, messages: list[Message], answer: Answer) -> Iterator[str]:
        if self._current is not None:
            raise InputError("an answer is still being written; wait for it, or stop it")
        self._current = answer
        pieces = iter(answer)
        try:
            yield from pieces
        finally:
            pieces.close()
            if self._current is answer:  # else the dialogue it belongs to was left in the meantime
                self._current = None
                self._keep(messages, answer)

    def _keep(self, messages: list[Message], answer: Answer) -> None:
        said_something = bool(answer.text.strip())
        if said_something:
            self.messages = [*messages, Message(role="assistant", content=answer.text)]
        if answer.ended == "stopped":
            self.notices.append(Notice("stopped" if said_something else "stopped_before_the_first_word"))
        elif answer.ended and not said_something:
            self.notices.append(Notice("empty_answer"))
        elif answer.ended == "length":
            limit = self.chat_model.new_tokens(self.sampling)
            self.notices.append(Notice("answer_too_long", {"max_new_tokens": limit}))

    def _give_up_current(self) -> None:
        self.stop()
        self._current = None

    def _with_system(self, messages: list[Message]) -> list[Message]:
        return [Message(role="system", content=self.system), *messages] if self.system.strip() else messages

    def _new_identity(self) -> None:
        self.id = f"chat/{uuid.uuid4().hex[:12]}"
