"""The dialogues of a tuning run: read, split, cut to the window by whole exchanges, and as trl takes them."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TypeVar

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from ..dialogues.dialogue import Dialogue
from ..errors import InputError
from .chatml import encoded_dialogue, exchanges_that_fit

T = TypeVar("T")
NO_MORE = object()


@dataclass
class TuningData:
    """What a run reads.

    Attributes:
        train: dialogues to train on, each within the window.
        held_out: others by source, for evaluation.
        counts: what became of all that were read: `shortened`, `too_long`, ...
        fingerprint: of all of them, in any order.
    """

    train: list[Dialogue]
    held_out: dict[str, list[Dialogue]]
    counts: Counter[str] = field(default_factory=Counter)
    fingerprint: str = ""

    def lines(self) -> list[str]:
        """What a person is told of it before the run begins."""
        sources = Counter(dialogue.source or "dialogues" for dialogue in self.train)
        lines = [
            f"  {source}: {count:,} dialogues, {len(self.held_out.get(source, [])):,} held out"
            for source, count in sorted(sources.items())
        ]
        aside = sum(count for reason, count in self.counts.items() if reason.startswith("set aside"))
        if aside:
            lines.append(f"  {aside:,} dialogues or rows are set aside, each with its reason in rejected.jsonl")
        if self.counts["shortened"] or self.counts["too_long"]:
            lines.append(
                f"  {self.counts['shortened']:,} lost their last exchanges to fit in the window; "
                f"{self.counts['too_long']:,} had none that fits and are left out"
            )
        return lines


def tuning_data(
    train: list[Dialogue],
    held_out: list[Dialogue],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    eval_dialogues: int,
) -> TuningData:
    """Dialogues that fit.

    Args:
        train, held_out: the two sides of the split.
        tokenizer: with its chat template.
        max_length: most tokens of a dialogue.
        eval_dialogues: most held-out dialogues of each source.

    Raises:
        InputError: nothing is left to train on.
    """
    keys = sorted(dialogue.key for dialogue in (*train, *held_out))
    data = TuningData([], {}, fingerprint="sha1:" + hashlib.sha1("".join(keys).encode()).hexdigest())
    for dialogue in train:
        if (fitting := _fitting(dialogue, tokenizer, max_length, data.counts)) is not None:
            data.train.append(fitting)
    for dialogue in held_out:
        of_source = data.held_out.setdefault(dialogue.source or "dialogues", [])
        if len(of_source) < eval_dialogues:
            fitting = _fitting(dialogue, tokenizer, max_length, Counter())
            of_source += [fitting] if fitting is not None else []
    data.held_out = {source: dialogues for source, dialogues in sorted(data.held_out.items()) if dialogues}
    if not data.train:
        raise InputError(
            f"no dialogue fits in max_length {max_length:,} tokens; raise it"
            if train
            else "there are no dialogues to train on"
        )
    return data


def _fitting(
    dialogue: Dialogue, tokenizer: PreTrainedTokenizerBase, max_length: int, counts: Counter
) -> Dialogue | None:
    messages = exchanges_that_fit(tokenizer, dialogue.messages, max_length)
    if messages is None:
        counts["too_long"] += 1
        return None
    if len(messages) < len(dialogue.messages):
        counts["shortened"] += 1
        return Dialogue(messages, dialogue.id, dialogue.source, dialogue.language, dialogue.licence)
    return dialogue


def as_data_set(dialogues: list[Dialogue], tokenizer: PreTrainedTokenizerBase, assistant_only: bool = True) -> Dataset:
    """`input_ids` and `labels` of each dialogue, which trl trains on as they are.

    Args:
        dialogues: within the window.
        tokenizer: with its chat template.
        assistant_only: leave out of the loss what the assistant did not write.
    """
    rows = []
    for dialogue in dialogues:
        ids, labels = encoded_dialogue(tokenizer, dialogue.messages)
        rows.append({"input_ids": ids, "labels": labels if assistant_only else ids})
    return Dataset.from_list(rows)


def in_turn(sources: Iterable[Sequence[T]]) -> Iterator[T]:
    """The first of each source, then the second of each, and so on; a source that has no more is passed over."""
    for items in zip_longest(*sources, fillvalue=NO_MORE):
        yield from (item for item in items if item is not NO_MORE)
