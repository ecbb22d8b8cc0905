"""Which items a round asks for: seed, operation and subject of each, the same whenever they are asked for."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..dialogues.dialogue import Dialogue


@dataclass(frozen=True)
class PlannedItem:
    """One item to be written.

    Attributes:
        round, item: its number, from 1.
        seed: the dialogue it is made from.
        operation: how.
        choice: 0 to 1, chooses topic and persona.
    """

    round: int
    item: int
    seed: Dialogue
    operation: str
    choice: float

    @property
    def id(self) -> str:
        """What it is called wherever it goes."""
        return f"augmented/{self.round}-{self.item:06d}"


def planned_round(
    round: int, items: int, seeds: Sequence[Dialogue], operations: Mapping[str, float], seed: int
) -> Iterator[PlannedItem]:
    """The items of a round, a pure function of its arguments: a run that is continued asks for the same.

    All seeds are gone through, in another order each time, before one is taken again.

    Args:
        round: from 1.
        items: how many.
        seeds: of the round.
        operations: weight of each.
        seed: decides all choices.
    """
    order: list[Dialogue] = []
    for item in range(1, items + 1):
        if not order:
            order = list(seeds)
            random.Random(f"order {seed} {round} {item}").shuffle(order)
        chance = random.Random(f"item {seed} {round} {item}")
        operation = chance.choices(list(operations), list(operations.values()))[0]
        yield PlannedItem(round, item, order.pop(), operation, chance.random())
