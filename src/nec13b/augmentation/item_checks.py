"""Whether a question and an answer that a model wrote may be kept: the first fault found, with its reason.

The checks see one item. Whether it has a near duplicate, and what grade it gets, is asked in `augmentation.py`.
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..corpus.documents import JAPANESE_LETTER, LETTER, LONE_SURROGATE
from ..corpus.languages import identify_language
from ..corpus.near_duplicates import shingles_of
from ..corpus.personal_data import find_personal_data
from ..corpus.phrases import PhraseLists, read_phrases
from ..dialogues.dialogue import Message
from ..dialogues.leaked_marks import leaked_mark, without_code
from ..generation.generator import Completion
from .augmentation_config import ItemCheckSettings
from .augmentation_prompts import LANGUAGES

OWN_PHRASES = Path(__file__).parent / "phrases"
# The prompt's own tags and headings, and the names of speakers at the beginning of a line.
PROMPT_MARK = re.compile(
    r"</?\s*(?:指示|instruction)\s*>|^(?:元の指示|参考にする指示|Instruction)\s*[:：]", re.IGNORECASE | re.MULTILINE
)
SPEAKER = re.compile(r"^\W*(?:アシスタント|ユーザー|Assistant|User)\W*[:：]", re.MULTILINE)
NAMES_A_LANGUAGE = re.compile(r"翻訳|英訳|和訳|英語|日本語|英文|translat|\bEnglish\b|\bJapanese\b", re.IGNORECASE)
THOUGHT = re.compile(r"</?think>")
ECHO_CHARACTERS = 16  # a shorter line of the prompt may stand in a question by chance
REFUSAL_CHARACTERS = 200  # an answer that declines does so at once
LANGUAGE_LETTERS = 20  # fewer say nothing about the language
SURE = 0.95
REPETITION_CHARACTERS, REPETITION_GRAM = 60, 8
SHINGLE, FEWEST_SHINGLES, REPEATED_SHARE = 3, 10, 0.95


class Fault(NamedTuple):
    """Why an item cannot be kept: a reason, by which it is counted, and what was seen."""

    reason: str
    detail: str = ""


def question_fault(
    completion: Completion,
    question: str,
    prompt: str,
    before: list[Message],
    language: str,
    settings: ItemCheckSettings,
) -> Fault | None:
    """The first fault of a question.

    Args:
        completion: the reply that it was taken from.
        question: as `written_instruction` gives it.
        prompt: the template of the prompt that asked for it; small models say it once more.
        before: the messages before it in its dialogue.
        language: in which it should be, `ja` or `en`; in either, where the messages before name a language.
        settings: limits of length.
    """
    if unfinished := _unfinished(completion):
        return unfinished
    if not question:
        return Fault("format", "no instruction in the reply")
    if LONE_SURROGATE.search(question):
        return Fault("format", "the question is not valid Unicode")
    for pattern, fault in ((PROMPT_MARK, "holds a part of the prompt"), (SPEAKER, "holds turns of a dialogue")):
        if found := pattern.search(question):
            return Fault("format", f"the question {fault}: {found[0]!r}")
    if any(line in question for line in prompt.splitlines() if len(line) >= ECHO_CHARACTERS):
        return Fault("format", "the question holds a line of the prompt")
    limits = settings.min_question_characters, settings.max_question_characters
    return _fault_of_text("question", question, _languages(before, language), limits)


def answer_fault(
    completion: Completion, answer: str, before: list[Message], language: str, settings: ItemCheckSettings
) -> Fault | None:
    """The first fault of an answer.

    Args:
        completion: the reply that it was taken from.
        answer: its text.
        before: the messages before it, the last of them the question.
        language: in which it should be; in either, where the messages before name a language, as for a translation.
        settings: limits of length.
    """
    question = before[-1]["content"]
    if unfinished := _unfinished(completion):
        return unfinished
    if not answer:
        return Fault("format", "an empty answer")
    if LONE_SURROGATE.search(answer):
        return Fault("format", "the answer is not valid Unicode")
    if phrase := refusal_in(answer):
        return Fault("refusal", phrase)
    for pattern, fault in ((PROMPT_MARK, "holds a part of the prompt"), (SPEAKER, "goes on with the dialogue")):
        if found := pattern.search(answer):
            return Fault("format", f"the answer {fault}: {found[0]!r}")
    if answer.count("```") % 2:
        return Fault("format", "a block of code does not end")
    limits = settings.min_answer_characters, settings.max_answer_characters
    if fault := _fault_of_text("answer", answer, _languages(before, language), limits):
        return fault
    if repeats(answer, question):
        return Fault("repeats_question", "the answer says what the question says")
    if len(question) >= 15 and " ".join(answer.split()).startswith(" ".join(question.split())):
        return Fault("repeats_question", "the answer begins with the question")
    if any(repeats(answer, message["content"]) for message in before if message["role"] == "assistant"):
        return Fault("repeats_earlier_answer", "the answer says what an earlier one says")
    return None


def refusal_in(answer: str) -> str:
    """The phrase by which the answer declines, or nothing; its first lines decide."""
    head = answer[:REFUSAL_CHARACTERS].replace("’", "'")
    found = _refusals().find(head).get("refusal")
    return head[found[0][0] : found[0][1]] if found else ""


def is_in_language(text: str, language: str) -> bool:
    """Whether a text is in a language, as far as can be told; blocks of code do not count, short texts are believed."""
    text = without_code(text)
    letters = len(LETTER.findall(text))
    japanese = len(JAPANESE_LETTER.findall(text))
    if letters and language != "ja" and japanese > letters / 2:
        return False
    if letters < LANGUAGE_LETTERS:
        return True
    if language == "ja" and japanese < letters / 5:
        return False
    found, probability = identify_language(text)
    return found == language or probability < SURE


def repeats(answer: str, text: str) -> bool:
    """Whether an answer only says a text once more: nearly all of it stands there, and it is at least half of that.

    An answer that is a short piece of the text is none: it may be what was asked for.
    """
    said, there = (shingles_of(each, SHINGLE) for each in (answer, text))
    if len(said) < FEWEST_SHINGLES or not len(there):  # greetings are returned
        return False
    shared = len(np.intersect1d(said, there, assume_unique=True))
    return shared >= REPEATED_SHARE * len(said) and shared >= len(there) / 2


def _languages(before: list[Message], language: str) -> list[str]:
    named = any(NAMES_A_LANGUAGE.search(message["content"]) for message in before)
    return [*LANGUAGES] if named else [language]


def _unfinished(completion: Completion) -> Fault | None:
    if completion.finish_reason == "length":
        return Fault("unfinished", "cut at the most tokens of a reply")
    if completion.finish_reason == "content_filter":
        return Fault("content_filter", "the endpoint's filter cut the reply")
    return None


def _fault_of_text(what: str, text: str, languages: list[str], limits: tuple[int, int]) -> Fault | None:
    if mark := leaked_mark(text) or "".join(THOUGHT.findall(text)[:1]):
        return Fault("special_tokens", f"the {what} holds {mark}")
    if len(text) < limits[0]:
        return Fault("too_short", f"the {what} has {len(text)} characters")
    if len(text) > limits[1]:
        return Fault("too_long", f"the {what} has {len(text):,} characters")
    if not any(is_in_language(text, language) for language in languages):
        return Fault("language", f"the {what} is not in {' or '.join(languages)}")
    if _is_repetitive(text):
        return Fault("repetitive", f"the {what} says the same over and over")
    if personal := find_personal_data(text):
        return Fault("personal_data", f"the {what} holds {personal[0][2].replace('_', ' ')}")
    return None


def _is_repetitive(text: str) -> bool:
    """Whether less than a third of its stretches of eight characters differ, as where a model is caught in a loop."""
    text = " ".join(without_code(text).split())
    count = len(text) - REPETITION_GRAM + 1
    if count < REPETITION_CHARACTERS:
        return False
    return 3 * len({text[i : i + REPETITION_GRAM] for i in range(count)}) < count


@cache
def _refusals() -> PhraseLists:
    return PhraseLists(
        {"refusal": [p for path in sorted(OWN_PHRASES.glob("refusal.*.txt")) for p in read_phrases(path)]}
    )
