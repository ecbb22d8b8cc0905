"""What an amplification knows already: the questions and exchanges of its seeds and of the items it has kept.

A new instruction is held against questions. A further turn is held against whole exchanges: "Could you say more about
that?" is a good question twice, if its answers differ.
"""

from ..dialogues.dialogue import Dialogue, Message
from ..dialogues.near_duplicate_index import NearDuplicateIndex, letters_of
from .augmentation_prompts import FURTHER
from .item_checks import Fault

SHINGLE, FEWEST_SHINGLES = 3, 8  # questions are short


class KnownTexts:
    """Finds near duplicates of what is known.

    Args:
        similarity: estimated Jaccard similarity of the 3-grams from which on two texts are near duplicates.
    """

    def __init__(self, similarity: float):
        self._questions, self._exchanges = _Texts(similarity), _Texts(similarity)
        self._seeds: set[str] = set()

    def add_seed(self, dialogue: Dialogue) -> None:
        """Takes in every question of a seed, and every question with its answer."""
        self._seeds.add(dialogue.id)
        turns = [message["content"] for message in dialogue.messages if message["role"] != "system"]
        for question, answer in zip(turns[::2], turns[1::2]):
            self._questions.add(question, dialogue.id)
            self._exchanges.add(f"{question}\n{answer}", dialogue.id)

    def add_item(self, name: str, operation: str, messages: list[Message]) -> None:
        """Takes in what the model wrote of an item that is kept."""
        texts, text = self._place(operation, messages)
        texts.add(text, name)

    def twin(self, operation: str, messages: list[Message]) -> Fault | None:
        """The fault of what a model wrote, if it is a near duplicate."""
        texts, text = self._place(operation, messages)
        if (like := texts.like(text)) is None:
            return None
        name, similarity = like
        reason = "near_duplicate_of_seed" if name in self._seeds else "near_duplicate"
        return Fault(reason, f"{similarity:.0%} like {name}")

    def _place(self, operation: str, messages: list[Message]) -> tuple["_Texts", str]:
        if operation == FURTHER:
            return self._exchanges, "\n".join(message["content"] for message in messages)
        return self._questions, messages[0]["content"]


class _Texts:
    """Near duplicates by shingles, and texts that are too short for that by their letters."""

    def __init__(self, similarity: float):
        self._index = NearDuplicateIndex(similarity, SHINGLE, FEWEST_SHINGLES)
        self._by_letters: dict[str, str] = {}

    def add(self, text: str, name: str) -> None:
        self._by_letters.setdefault(letters_of(text), name)
        self._index.add_unless_like(text, name)

    def like(self, text: str) -> tuple[str, float] | None:
        same = self._by_letters.get(letters_of(text))
        return (same, 1.0) if same is not None else self._index.like(text)
