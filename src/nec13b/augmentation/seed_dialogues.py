"""The seeds of an amplification: dialogues that a model can go on from, in a language that there are prompts for."""

import dataclasses
from collections.abc import Iterable

from ..corpus import Rejections, domain_of_text
from ..corpus.reading import LANGUAGE
from ..dialogues.dialogue import Dialogue
from ..dialogues.dialogue_sources import DialogueSource, read_dialogues
from ..errors import InputError
from .augmentation_prompts import LANGUAGES


def read_seeds(sources: list[DialogueSource], max_characters: int, rejections: Rejections) -> list[Dialogue]:
    """The seeds of all sources, each with its language; an unanswered message at the end is left out.

    Args:
        sources: from `parse_dialogue_sources`.
        max_characters: longer dialogues are set aside.
        rejections: takes note of every row that is no seed.

    Raises:
        InputError: a source cannot be opened, or there is no seed at all.
    """
    seeds, taken = [], set()
    for placed in read_dialogues(sources, rejections, 8 * max_characters):
        dialogue = placed.dialogue
        reason = _why_no_seed(dialogue, max_characters)
        if not reason:
            messages = _answered(dialogue)
            language = _language(dialogue)
            if language not in LANGUAGES:
                reason = f"no prompts in its language ({language})"
            elif dialogue.key in taken:
                reason = "duplicate"
        if reason:
            rejections.add(placed.place, placed.row, reason, str(dialogue.messages))
            continue
        taken.add(dialogue.key)
        seeds.append(dataclasses.replace(dialogue, messages=messages, language=language))
    if not seeds:
        raise InputError(f"there is no dialogue to begin with ({rejections or 'the sources are empty'})")
    return seeds


def openings(dialogues: Iterable[Dialogue]) -> list[str]:
    """The first message of the user in each."""
    return [next(m["content"] for m in dialogue.messages if m["role"] == "user") for dialogue in dialogues]


def _why_no_seed(dialogue: Dialogue, max_characters: int) -> str:
    roles = [message["role"] for message in dialogue.messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if any(not message["content"].strip() for message in dialogue.messages):
        return "an empty turn"
    if any(role != ("user", "assistant")[number % 2] for number, role in enumerate(turns)):
        return "user and assistant do not alternate"
    if "assistant" not in turns:
        return "no answer"
    if sum(len(message["content"]) for message in dialogue.messages) > max_characters:
        return f"longer than max_seed_characters ({max_characters:,})"
    return ""


def _answered(dialogue: Dialogue) -> list:
    messages = dialogue.messages
    return messages[:-1] if messages[-1]["role"] == "user" else messages


def _language(dialogue: Dialogue) -> str:
    if named := LANGUAGE.match(dialogue.language):
        return {"jpn": "ja", "eng": "en"}.get(named[0].lower(), named[0].lower())
    return domain_of_text("\n".join(message["content"] for message in dialogue.messages if message["role"] != "system"))
