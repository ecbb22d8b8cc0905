"""Rules that tell text from debris: each is a measure of a text with the bounds within which it is kept.

A rule set is a mapping of measure names to bounds, one set for each domain, written in YAML:

    ja:
      characters: {min: 100}
      hiragana_share: {min: 0.1}
      repeated_line_characters: {max: 0.2}

`judge` says for one text what every measure gives and which bound it breaks; a text is rejected for the first broken
one, so that each rejected document carries one reason. Bounds are data and measures are functions: a new rule is a
function in `measures.py` and a line in the YAML file.
"""

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..yaml_mapping import read_yaml_mapping
from .documents import CODE
from .measures import MEASURES, PHRASE_MEASURE, Measure, measure_of_phrases, spans_of_measure
from .phrases import PhraseLists, load_phrase_lists
from .profile import TextProfile

OWN_RULES = Path(__file__).parent / "rule_sets.yaml"
MOST_ADDED_WORDS = 0.015  # share of characters in words of a user's list that has no bound of its own
SILENT = ("boilerplate", "boilerplate_line", "generated")  # lists that do other work than a rule's


@dataclass(frozen=True)
class Verdict:
    """What one rule says of one text.

    Attributes:
        name: the measure.
        value: what it gives.
        minimum, maximum: the bounds, either of which may be None.
    """

    name: str
    value: float
    minimum: float | None
    maximum: float | None

    @property
    def passed(self) -> bool:
        above = self.minimum is None or self.value >= self.minimum
        return above and (self.maximum is None or self.value <= self.maximum)

    @property
    def bounds(self) -> str:
        """`at least 3 and at most 10`."""
        low = "" if self.minimum is None else f"at least {self.minimum:g}"
        high = "" if self.maximum is None else f"at most {self.maximum:g}"
        return " and ".join(part for part in (low, high) if part)

    def __str__(self) -> str:
        if self.minimum is not None and self.value < self.minimum:
            return f"{self.name} {self.value:.3g} is below {self.minimum:g}"
        if self.maximum is not None and self.value > self.maximum:
            return f"{self.name} {self.value:.3g} is above {self.maximum:g}"
        return f"{self.name} {self.value:.3g}"


class RuleSet:
    """The rules of one domain, in the order in which they are asked.

    Args:
        bounds: measure name to `{min: ..., max: ...}`.
        where: what error messages call the place the bounds come from.
        phrases: the word lists that measures such as `adult_word_share` count; None: the project's own.

    Raises:
        InputError: an unknown measure or key, or a bound that is not a number.
    """

    def __init__(self, bounds: dict[str, dict[str, float]], where: str = "rules", phrases: PhraseLists | None = None):
        self.written = bounds
        self.phrases = phrases if phrases is not None else load_phrase_lists()
        self.bounds: list[tuple[str, Measure, float | None, float | None]] = []
        for name, bound in bounds.items():
            function = self._measure(name)
            if function is None:
                raise InputError(f"{where}: unknown rule {name!r}{self._known(name)}")
            if not isinstance(bound, dict) or not bound or set(bound) - {"min", "max"}:
                raise InputError(f"{where}: {name} takes min and max, not {bound!r}")
            for value in bound.values():
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    raise InputError(f"{where}: {name}: {value!r} is not a number")
            self.bounds.append((name, function, bound.get("min"), bound.get("max")))

    def _measure(self, name: str) -> Measure | None:
        category = name.removesuffix(PHRASE_MEASURE)
        if category != name and category in self.phrases.names:
            return measure_of_phrases(category)
        return MEASURES.get(name)

    def _known(self, name: str) -> str:
        known = sorted([*MEASURES, *(category + PHRASE_MEASURE for category in self.phrases.names)])
        close = difflib.get_close_matches(name, known, n=1)
        return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"

    def __deepcopy__(self, memo) -> "RuleSet":
        return self  # nothing in it changes

    def first_broken(self, text: str) -> Verdict | None:
        """The first rule that the text breaks, or None where it is kept."""
        profile = TextProfile(text, self.phrases)
        for name, function, minimum, maximum in self.bounds:
            value = function(profile)
            if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
                return Verdict(name, value, minimum, maximum)
        return None

    def judge(self, text: str) -> list[Verdict]:
        """What every rule says of the text, in order."""
        profile = TextProfile(text, self.phrases)
        return [Verdict(name, function(profile), low, high) for name, function, low, high in self.bounds]

    def minimum(self, name: str) -> float:
        """The lower bound of a rule, 0 where there is none."""
        return self.written.get(name, {}).get("min", 0)

    def spans(self, name: str, text: str) -> list[tuple[int, int]]:
        """Where in the text stands what a rule counts: (start, end), in order; empty for measures of the whole."""
        return spans_of_measure(name, TextProfile(text, self.phrases))


def load_rule_sets(
    path: str | os.PathLike | None = None, phrases: PhraseLists | None = None, added: Sequence[str] = ()
) -> dict[str, RuleSet]:
    """The rule set of each domain, from a YAML file or, without one, the project's own.

    Args:
        path: the file.
        phrases: the word lists; those of the project's rules that need a list which is not there are left out.
        added: categories of the user's word lists; where no domain has a rule for one, every domain of prose gets one.

    Raises:
        InputError: the file cannot be read, or a rule set in it is bad; the message names the file and the domain.
    """
    path = Path(path) if path else OWN_RULES
    domains = read_yaml_mapping(path, "the rules")
    if not all(isinstance(bounds, dict) for bounds in domains.values()):
        raise InputError(f"{path} must hold a mapping of rules for each domain")
    phrases = phrases if phrases is not None else load_phrase_lists()
    if path == OWN_RULES:
        lists_there = {category + PHRASE_MEASURE for category in phrases.names}
        for bounds in domains.values():
            for name in [name for name in bounds if name.endswith(PHRASE_MEASURE) and name not in lists_there]:
                del bounds[name]
    for category in added:
        name = category + PHRASE_MEASURE
        if category not in SILENT and not any(name in bounds for bounds in domains.values()):
            for domain, bounds in domains.items():
                if domain != CODE:
                    bounds[name] = {"max": MOST_ADDED_WORDS}
    return {domain: RuleSet(bounds, f"{path}: {domain}", phrases) for domain, bounds in domains.items()}
