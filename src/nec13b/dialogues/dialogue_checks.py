"""What a dialogue is checked for, each check with the message it objects to: a dialogue goes for one reason, the first.

In this order: messages at all, roles, empty turns, order, length, leaked marks, language, personal data, duplicates.
"""

from collections import Counter
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from ..corpus.languages import identify_language
from ..corpus.personal_data import find_personal_data, mask_personal_data
from .dialogue import ROLES, Dialogue, Message
from .dialogue_settings import CheckSettings, DialogueSettings
from .leaked_marks import leaked_mark, without_code
from .near_duplicate_index import NearDuplicateIndex

# Who may speak after whom; "" is the beginning.
FOLLOWERS = {
    "": ("system", "user"),
    "system": ("user",),
    "user": ("assistant",),
    "assistant": ("user", "tool"),
    "tool": ("tool", "assistant"),
}


@dataclass(frozen=True)
class Objection:
    """Why a dialogue is set aside.

    Attributes:
        reason: of a few, for counting: `empty turn`.
        detail: what of it: `message 3 (assistant)`.
        message: the number of the message it objects to, from 1; None where it is the whole.
    """

    reason: str
    detail: str = ""
    message: int | None = None


class MessageChecks:
    """Judges messages by themselves.

    Args:
        settings: which checks, and their bounds.
        tokenizer: counts tokens, where a most of them is set; its chat template renders the messages.
    """

    def __init__(self, settings: CheckSettings, tokenizer: PreTrainedTokenizerBase | None = None):
        self.settings, self.tokenizer = settings, tokenizer
        self.masked: Counter[str] = Counter()  # pieces of personal data in what is kept, by kind

    def objection_to(self, messages: list[Message], *left_out: str) -> Objection | None:
        """What speaks against messages, from their roles to personal data that is not to be masked.

        Args:
            messages: from the first one to an answer.
            left_out: checks that are left out, beside those of the settings.
        """
        if not messages:
            return Objection("no messages")
        checks = (
            ("roles", self._unknown_role),
            ("empty_turns", self._empty_turn),
            ("order", self._wrong_order),
            ("length", self._too_long),
            ("special_tokens", self._leaked_mark),
            ("language", self._other_language),
        )
        for name, check in checks:
            if name not in self.settings.skip_checks and name not in left_out and (objection := check(messages)):
                return objection
        return self._personal_data(messages) if self.settings.personal_data == "set_aside" else None

    def _unknown_role(self, messages: list[Message]) -> Objection | None:
        for number, message in enumerate(messages, start=1):
            if message["role"] not in ROLES:
                return Objection("unknown role", f"message {number}: {message['role'][:40]!r}", number)
        return None

    def _empty_turn(self, messages: list[Message]) -> Objection | None:
        for number, message in enumerate(messages, start=1):
            if not message["content"].strip():
                return Objection("empty turn", f"message {number} ({message['role']})", number)
        return None

    def _wrong_order(self, messages: list[Message]) -> Objection | None:
        before = ""
        for number, message in enumerate(messages, start=1):
            role = message["role"]
            if role in ROLES and before in FOLLOWERS and role not in FOLLOWERS[before]:
                what = f"{role} after {before}" if before else f"{role} comes first"
                return Objection("wrong order of roles", f"message {number}: {what}", number)
            before = role
        if before != "assistant":
            last = len(messages)
            return Objection("no answer at the end", f"message {last} ({before}) is the last", last)
        return None

    def _too_long(self, messages: list[Message]) -> Objection | None:
        length, most = sum(len(message["content"]) for message in messages), self.settings.max_dialogue_characters
        if length > most:
            return Objection("too long", f"{length:,} characters, at most {most:,}")
        most = self.settings.max_dialogue_tokens
        if self.tokenizer is None or not most:
            return None
        tokens = len(self.tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False))
        return Objection("too long", f"{tokens:,} tokens, at most {most:,}") if tokens > most else None

    def _leaked_mark(self, messages: list[Message]) -> Objection | None:
        for number, message in enumerate(messages, start=1):
            if mark := leaked_mark(message["content"]):
                return Objection(
                    "leaked special token", f"message {number} ({message['role']}): {mark.strip()}", number
                )
        return None

    def _other_language(self, messages: list[Message]) -> Objection | None:
        # The assistant's words alone: a user may write, or quote, whatever he likes.
        said = "\n".join(without_code(m["content"]) for m in messages if m["role"] == "assistant").strip()
        if len(said) < self.settings.min_language_characters:
            return None
        language, probability = identify_language(said)
        if language in self.settings.languages or probability < self.settings.min_language_probability:
            return None
        return Objection("another language", f"{language}, with probability {probability:.2f}")

    def _personal_data(self, messages: list[Message]) -> Objection | None:
        for number, message in enumerate(messages, start=1):
            if found := find_personal_data(message["content"]):
                return Objection("personal data", f"message {number} ({message['role']}): {found[0][2]}", number)
        return None


class DialogueChecks(MessageChecks):
    """Judges dialogues one after another; it remembers them, so that a later duplicate is known.

    Args:
        settings: which checks, and their bounds.
        tokenizer: counts tokens, where a most of them is set; its chat template renders the dialogue.
    """

    settings: DialogueSettings

    def __init__(self, settings: DialogueSettings, tokenizer: PreTrainedTokenizerBase | None = None):
        super().__init__(settings, tokenizer)
        self.cut = 0  # dialogues that were cut after their last answer
        self._keys: dict[bytes, str] = {}
        self._index = NearDuplicateIndex(settings.near_similarity)

    def __call__(self, dialogue: Dialogue) -> tuple[Dialogue, Objection | None]:
        """The dialogue as it may be kept (cut, masked, if so wanted), and what speaks against it."""
        whole = dialogue
        if self.settings.cut_unanswered:
            dialogue = cut_after_last_answer(dialogue)
        if objection := self.objection_to(dialogue.messages):
            return dialogue, objection
        masked: Counter[str] = Counter()
        if self.settings.personal_data == "mask":
            messages, masked = masked_messages(dialogue.messages)
            dialogue = replace(dialogue, messages=messages) if masked else dialogue
        objection = self._duplicate(dialogue)
        if objection is None:
            self.cut += len(dialogue.messages) < len(whole.messages)
            self.masked += masked
        return dialogue, objection

    def _duplicate(self, dialogue: Dialogue) -> Objection | None:
        skipped, key = self.settings.skip_checks, bytes.fromhex(dialogue.key)
        if "duplicates" not in skipped and key in self._keys:
            return Objection("duplicate", f"says the same as {self._keys[key]}")
        if "near_duplicates" not in skipped:
            # System messages are shared by whole data sets, so they say nothing of likeness.
            said = "\n".join(m["content"] for m in dialogue.messages if m["role"] != "system")
            if like := self._index.add_unless_like(said, dialogue.id):
                return Objection("near duplicate", f"{like[1]:.0%} like {like[0]}")
        self._keys[key] = dialogue.id
        return None


def cut_after_last_answer(dialogue: Dialogue) -> Dialogue:
    """The dialogue up to its last answer; the dialogue itself where there is none, or nothing behind it."""
    last = max((n for n, message in enumerate(dialogue.messages, start=1) if message["role"] == "assistant"), default=0)
    return replace(dialogue, messages=dialogue.messages[:last]) if 0 < last < len(dialogue.messages) else dialogue


def masked_messages(messages: list[Message]) -> tuple[list[Message], Counter[str]]:
    """Messages with marks in place of personal data, and how many pieces of each kind there were."""
    changed, masked = [], Counter()
    for message in messages:
        content, found = mask_personal_data(message["content"])
        changed.append(Message(role=message["role"], content=content))
        masked += found
    return changed, masked
