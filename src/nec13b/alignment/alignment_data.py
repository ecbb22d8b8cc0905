"""The preferences of a run as tokens: prompts cut to the window by whole exchanges, answers never.

An answer that is cut loses its end, and the model would learn from where the cut fell. So it is the prompt that gives
way, the oldest exchange first, as in the chat; where the last question and the answers alone are too long, the
preference is left out and counted.
"""

import hashlib
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from datasets import Dataset, load_from_disk
from transformers import PreTrainedTokenizerBase

from ..chat.history_window import messages_that_fit
from ..chat_tuning.chatml import IGNORED, encoded_dialogue
from ..chat_tuning.tuning_data import in_turn
from ..dialogues.dialogue import Message
from ..errors import InputError
from ..preferences.preference import Preference
from ..whole_files import whole_folder


@dataclass
class AlignmentData:
    """What a run reads.

    Attributes:
        train: `prompt_ids`, `chosen_ids` and `rejected_ids` of each preference, within the window.
        held_out: others by source, for evaluation.
        prompts: of the held-out ones by source, as messages, each prompt once.
        sources: training preferences by source.
        counts: what became of all that were read: `shortened`, `too_long`, ...
        fingerprint: of all of them, in any order.
    """

    train: list[dict[str, list[int]]] = field(default_factory=list)
    held_out: dict[str, list[dict[str, list[int]]]] = field(default_factory=dict)
    prompts: dict[str, list[list[Message]]] = field(default_factory=dict)
    sources: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    fingerprint: str = ""

    @property
    def tokens_of_a_pair(self) -> float:
        """Mean tokens of both sequences of a training preference."""
        return sum(2 * len(row["prompt_ids"]) + len(row["chosen_ids"]) + len(row["rejected_ids"])
                   for row in self.train) / len(self.train)  # fmt: skip

    def lines(self) -> list[str]:
        """What a person is told of it before the run begins."""
        lines = [
            f"  {source}: {count:,} preferences, {len(self.held_out.get(source, [])):,} held out"
            for source, count in sorted(self.sources.items())
        ]
        lines += [
            f"  {source}: {len(rows):,} held out"
            for source, rows in self.held_out.items()
            if source not in self.sources
        ]
        chosen, rejected = (sum(len(row[f"{side}_ids"]) for row in self.train) / len(self.train)
                            for side in ("chosen", "rejected"))  # fmt: skip
        lines.append(f"  chosen answers have {chosen:,.0f} tokens on average, rejected ones {rejected:,.0f}")
        aside = sum(count for reason, count in self.counts.items() if reason.startswith("set aside"))
        if aside:
            lines.append(f"  {aside:,} preferences or rows are set aside, each with its reason in rejected.jsonl")
        if self.counts["shortened"] or self.counts["too_long"]:
            lines.append(
                f"  {self.counts['shortened']:,} prompts lost their first exchanges to fit in the window; "
                f"{self.counts['too_long']:,} preferences do not fit and are left out"
            )
        return lines

    def sampled_prompts(self, count: int) -> list[list[Message]]:
        """So many held-out prompts, the sources in turn."""
        return list(itertools.islice(in_turn(self.prompts.values()), count))


def alignment_data(
    train: list[Preference],
    held_out: list[Preference],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    eval_preferences: int,
) -> AlignmentData:
    """Preferences that fit.

    Args:
        train, held_out: the two sides of the split.
        tokenizer: with its chat template.
        max_length: most tokens of a prompt with either answer.
        eval_preferences: most held-out preferences of each source.

    Raises:
        InputError: nothing is left to train on, or the template cannot render a preference.
    """
    keys = sorted(preference.key for preference in (*train, *held_out))
    data = AlignmentData(fingerprint="sha1:" + hashlib.sha1("".join(keys).encode()).hexdigest())
    for preference in train:
        prompt = prompt_that_fits(tokenizer, preference, max_length)
        if prompt is None:
            data.counts["too_long"] += 1
            continue
        data.counts["shortened"] += len(prompt) < len(preference.prompt)
        data.sources[preference.source or "preferences"] += 1
        data.train.append(encoded_preference(tokenizer, prompt, preference))
    for preference in held_out:
        rows = data.held_out.setdefault(preference.source or "preferences", [])
        if len(rows) >= eval_preferences:
            continue
        prompt = prompt_that_fits(tokenizer, preference, max_length)
        if prompt is None:
            data.counts["too_long, held out"] += 1
            continue
        rows.append(encoded_preference(tokenizer, prompt, preference))
        prompts = data.prompts.setdefault(preference.source or "preferences", [])
        prompts += [] if prompt in prompts else [prompt]
    data.held_out = {source: rows for source, rows in sorted(data.held_out.items()) if rows}
    if not data.train:
        raise InputError(
            f"no preference fits in max_length {max_length:,} tokens; raise it"
            if train
            else "there are no preferences to train on"
        )
    return data


def encoded_preference(
    tokenizer: PreTrainedTokenizerBase, prompt: list[Message], preference: Preference
) -> dict[str, list[int]]:
    """`prompt_ids`, `chosen_ids` and `rejected_ids`; an answer ends with the token that ends its turn.

    The answers begin where they leave the prompt as it is rendered for generation. That is its end, unless a tokenizer
    joins the first characters of an answer with the line before them.

    Args:
        tokenizer: with its chat template.
        prompt: of the preference, perhaps shortened.
        preference: for its answers.
    """
    asked = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=True)
    both = [
        _until_the_end_of_turn(tokenizer, [*prompt, *answer]) for answer in (preference.chosen, preference.rejected)
    ]
    shared = sum(1 for _ in itertools.takewhile(_all_equal, zip(asked["input_ids"], *both)))
    chosen, rejected = (ids[shared:] for ids in both)
    return {"prompt_ids": both[0][:shared], "chosen_ids": chosen, "rejected_ids": rejected}


def _all_equal(tokens: tuple[int, ...]) -> bool:
    return len(set(tokens)) == 1


def _until_the_end_of_turn(tokenizer: PreTrainedTokenizerBase, messages: list[Message]) -> list[int]:
    """The tokens of a dialogue up to the last one that the assistant wrote."""
    ids, labels = encoded_dialogue(tokenizer, messages)
    after = next((place for place, label in enumerate(reversed(labels)) if label != IGNORED), 0)
    return ids[: len(ids) - after]


def prompt_that_fits(
    tokenizer: PreTrainedTokenizerBase, preference: Preference, max_length: int
) -> list[Message] | None:
    """The prompt, without its first exchanges where it is too long with either answer; None where nothing fits."""

    def tokens_of(prompt: list[Message]) -> int:
        return max(
            len(_until_the_end_of_turn(tokenizer, [*prompt, *answer]))
            for answer in (preference.chosen, preference.rejected)
        )

    if tokens_of(preference.prompt) <= max_length:
        return preference.prompt
    try:
        return messages_that_fit(preference.prompt, tokens_of, max_length)[0]
    except InputError:
        return None


def stored_data_set(rows: list[dict[str, list[int]]], folder: Path, write: bool) -> Dataset:
    """The rows as a data set on disk, where trl keeps the reference's log-probabilities of them beside it.

    trl names its cache by a digest of the data set and of the reference's weights, so a run that is started again
    finds it, and one with other data or another model does not.

    Args:
        rows: as `encoded_preference` gives them.
        folder: the run's `reference`.
        write: whether this process is the one that writes; it has to come here before the others.
    """
    place = folder / hashlib.sha1(json.dumps(rows).encode()).hexdigest()[:16]
    if write and not place.is_dir():
        with whole_folder(place) as building:
            Dataset.from_list(rows).save_to_disk(building)
    return load_from_disk(place)
