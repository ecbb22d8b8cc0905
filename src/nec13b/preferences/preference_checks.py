"""What a preference is checked for: it goes for one reason, the first in this order.

Both conversations (the prompt with either answer) are held to the rules for dialogues: roles, empty turns, order,
length, leaked marks, personal data. Then the language of the chosen answer, and the two answers against each other and
against the preferences before. The rejected answer may be in any language: that may be why it was rejected.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from transformers import PreTrainedTokenizerBase

from ..corpus import Rejections
from ..corpus.near_duplicates import shingles_of
from ..dialogues.dialogue import Dialogue, Message
from ..dialogues.dialogue_checks import MessageChecks, Objection, masked_messages
from ..dialogues.near_duplicate_index import FEWEST_SHINGLES, NearDuplicateIndex
from .preference import Preference
from .preference_settings import PreferenceSettings
from .preference_sources import PlacedPreference, PreferenceSource, read_preferences

SIDES = ("chosen", "rejected")
SHINGLE = 4  # letters, as for near duplicates


class PreferenceChecks(MessageChecks):
    """Judges preferences one after another; it remembers them, so that a later duplicate is known.

    Args:
        settings: which checks, and their bounds.
        tokenizer: counts tokens, where a most of them is set; its chat template renders the conversations.
    """

    settings: PreferenceSettings

    def __init__(self, settings: PreferenceSettings, tokenizer: PreTrainedTokenizerBase | None = None):
        super().__init__(settings, tokenizer)
        self._keys: dict[str, str] = {}
        self._pairs: set[tuple] = set()
        self._prompts: dict[str, str] = {}
        self._index = NearDuplicateIndex(settings.near_similarity)

    def __call__(self, preference: Preference) -> tuple[Preference, Objection | None]:
        """The preference as it may be kept (masked, if so wanted), and what speaks against it by itself.

        Whether it contradicts another one can be told only when all are there; `contradicted` says it.
        """
        if objection := self._of_conversations(preference):
            return preference, objection
        masked = {}
        if self.settings.personal_data == "mask":
            for side in ("prompt", *SIDES):
                messages, found = masked_messages(getattr(preference, side))
                masked[side] = found
                preference = replace(preference, **{side: messages}) if found else preference
        for name, check in (
            ("same_answers", _same_answers),
            ("near_same_answers", self._near_same_answers),
            ("duplicates", self._duplicate),
            ("near_duplicates", self._near_duplicate),
        ):
            if name not in self.settings.skip_checks and (objection := check(preference)):
                return preference, objection
        self._keys[preference.key] = preference.id
        self._pairs.add(_unordered(preference))
        self._prompts[preference.id] = preference.prompt_key
        for found in masked.values():
            self.masked += found
        return preference, None

    def _of_conversations(self, preference: Preference) -> Objection | None:
        """What speaks against either conversation, told by the side on which it stands."""
        length = len(preference.prompt)
        for side in ("prompt", *SIDES):
            if not getattr(preference, side):
                return Objection("no messages", side)
        if preference.prompt[-1]["role"] == "assistant" and "order" not in self.settings.skip_checks:
            return Objection("wrong order of roles", f"prompt: message {length} (assistant) is the last", length)
        for side in SIDES:
            objection = self.objection_to(preference.prompt + getattr(preference, side), "language")
            if objection is None and side == "chosen" and "language" not in self.settings.skip_checks:
                objection = self._other_language(preference.chosen)
            if objection:
                where = "prompt" if objection.message and objection.message <= length else side
                return replace(objection, detail=f"{where}: {objection.detail}")
        return None

    def _near_same_answers(self, preference: Preference) -> Objection | None:
        chosen, rejected = (shingles_of(_said(getattr(preference, side)), SHINGLE) for side in SIDES)
        if min(len(chosen), len(rejected)) < FEWEST_SHINGLES:
            return None
        shared = len(np.intersect1d(chosen, rejected, assume_unique=True))
        likeness = shared / (len(chosen) + len(rejected) - shared)
        if likeness < self.settings.near_same_similarity:
            return None
        return Objection("near-identical answers", f"{likeness:.0%} of their letters in common")

    def _duplicate(self, preference: Preference) -> Objection | None:
        first = self._keys.get(preference.key)
        return None if first is None else Objection("duplicate", f"says the same as {first}")

    def _near_duplicate(self, preference: Preference) -> Objection | None:
        if _unordered(preference) in self._pairs:  # the very opposite, or the same where that may stay
            return None
        # The answers and what was asked last: a long conversation before them is shared by many that differ.
        said = "\n".join(
            _said(messages) for messages in (preference.prompt[-1:], preference.chosen, preference.rejected)
        )
        like = self._index.add_unless_like(said, preference.id)
        if like and self._prompts[like[0]] == preference.prompt_key:
            return None  # another comparison of answers to one prompt, of which the longer is often the same
        return Objection("near duplicate", f"{like[1]:.0%} like {like[0]}") if like else None


def checked_preferences(
    sources: list[PreferenceSource],
    settings: PreferenceSettings,
    checks: PreferenceChecks,
    rejections: Rejections,
) -> Iterator[Preference]:
    """The preferences that are in order; what is not is noted whole, so that it can be mended and read again."""
    kept: list[PlacedPreference] = []
    for placed in read_preferences(sources, rejections, settings, settings.max_dialogue_characters):
        preference, objection = checks(placed.preference)
        if objection is None:
            kept.append(replace(placed, preference=preference))
        else:
            _reject(rejections, placed, objection)
    opposites = {} if "contradictions" in settings.skip_checks else contradicted([each.preference for each in kept])
    for number, placed in enumerate(kept):
        if number in opposites:
            _reject(rejections, placed, Objection("contradiction", f"{opposites[number]} prefers the other answer"))
        else:
            yield placed.preference


def contradicted(preferences: list[Preference]) -> dict[int, str]:
    """The preferences to which there is an opposite, the same answers preferred the other way round.

    Neither can be trusted, whichever comes first.

    Returns:
        The place of each in the list, and the id of the first opposite.
    """
    directions: dict[tuple, dict[str, list[int]]] = {}
    for number, preference in enumerate(preferences):
        chosen = Dialogue(preference.chosen).key
        directions.setdefault(_unordered(preference), {}).setdefault(chosen, []).append(number)
    found = {}
    for by_chosen in directions.values():
        if len(by_chosen) == 2:
            one, other = by_chosen.values()
            found |= dict.fromkeys(one, preferences[other[0]].id)
            found |= dict.fromkeys(other, preferences[one[0]].id)
    return found


def _same_answers(preference: Preference) -> Objection | None:
    same = Dialogue(preference.chosen).key == Dialogue(preference.rejected).key
    return Objection("same answers", "chosen and rejected say the same") if same else None


def _unordered(preference: Preference) -> tuple:
    """What is compared, whichever answer is preferred."""
    return preference.prompt_key, *sorted(Dialogue(getattr(preference, side)).key for side in SIDES)


def _said(messages: list[Message]) -> str:
    return "\n".join(message["content"] for message in messages)


def _reject(rejections: Rejections, placed: PlacedPreference, objection: Objection) -> None:
    preference = placed.preference
    row = {name: value for name, value in preference.to_row().items() if name != "source"}
    more = {**row, "detail": objection.detail, "label": preference.source}
    if objection.message:
        more["message"] = objection.message
    excerpt = _said(preference.prompt[-1:])
    rejections.add(placed.place, placed.row, objection.reason, excerpt, **more)
