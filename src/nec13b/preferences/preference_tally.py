"""What the report on preferences counts, while they pass, and from the file of what was set aside."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from ..dialogues.dialogue import Message
from ..dialogues.dialogue_tally import EXAMPLES, RejectionTally, language_of_answers, length_bin, shortened
from .length_bias import RATIO_LABELS, LengthBias
from .preference import Preference
from .preference_sources import PreferenceSource

FORMAT = "nec13b-preferences-1"
SIDES = ("prompt", "chosen", "rejected")
FIELDS = ("train", "held_out", "several_turns", "with_system")


class PreferenceTally:
    """Counts of what is kept.

    Args:
        sources: from `parse_preference_sources`; what was set aside in their files counts for them.
    """

    def __init__(self, sources: list[PreferenceSource]):
        self.sources = {source.label: Counter() for source in sources}
        self.biases = {source.label: LengthBias() for source in sources}
        self.bias = LengthBias()
        self.lengths: dict[str, Counter[int]] = {side: Counter() for side in SIDES}
        self.languages: dict[str, Counter[str]] = {side: Counter() for side in ("chosen", "rejected")}
        self.licences: Counter[str] = Counter()
        self.strengths: Counter[str] = Counter()
        self.why: Counter[str] = Counter()
        self._agreements: list[float] = []
        self._set_aside = RejectionTally(sources)
        self._drawn: dict[str, list[tuple[str, Preference]]] = defaultdict(list)

    def add(self, preference: Preference, is_held_out: bool) -> None:
        """Counts a preference that is kept."""
        roles = [message["role"] for message in preference.prompt]
        counts = self.sources[preference.source]
        counts["held_out" if is_held_out else "train"] += 1
        counts["several_turns"] += "assistant" in roles
        counts["with_system"] += roles[0] == "system"
        lengths = {side: _characters(getattr(preference, side)) for side in SIDES}
        for side, length in lengths.items():
            self.lengths[side][length_bin(length)] += 1
        for bias in (self.bias, self.biases[preference.source]):
            bias.add(preference.prompt_key, lengths["chosen"], lengths["rejected"])
        for side, languages in self.languages.items():
            languages[language_of_answers(getattr(preference, side))] += 1
        self.licences[preference.licence or "not said"] += 1
        self.strengths[preference.strength or "not said"] += 1
        self.why.update(_reasons(preference))
        agreement = preference.provenance.get("agreement")
        if isinstance(agreement, (int, float)) and preference.provenance.get("judges", 0) != 1:
            self._agreements.append(agreement)
        drawn = self._drawn[preference.source]
        drawn.append((preference.key, preference))  # the smallest digests are as good as drawn by lot, and repeatable
        drawn.sort(key=lambda item: item[0])
        del drawn[EXAMPLES:]

    def report(self, rejected: Iterable[dict[str, Any]], masked: dict[str, int]) -> dict[str, Any]:
        """Everything that the page shows, in JSON's types.

        Args:
            rejected: the rows of `rejected.jsonl`.
            masked: pieces of personal data that were masked, by kind.
        """
        for row in rejected:
            self._set_aside.add(row, {side: shortened(row[side]) for side in SIDES if side in row})
        sources = [
            {"source": label, "set_aside": self._set_aside.of_source(label)}
            | {name: counts[name] for name in FIELDS}
            | {"length_bias": self.biases[label].report()}
            for label, counts in self.sources.items()
        ]
        agreements = self._agreements
        return {
            "format": FORMAT,
            "kept": {name: sum(row[name] for row in sources) for name in FIELDS} | {"prompts": self.bias.prompts},
            "set_aside": self._set_aside.total(),
            "sources": sources,
            "reasons": self._set_aside.by_reason(),
            "length_bias": self.bias.report(),
            "length_ratios": {label: self.bias.ratios[label] for label in RATIO_LABELS},
            "lengths": {side: {str(b): n for b, n in sorted(c.items())} for side, c in self.lengths.items()},
            "languages": {side: dict(counts.most_common()) for side, counts in self.languages.items()},
            "licences": dict(self.licences.most_common()),
            "strengths": dict(self.strengths.most_common()),
            "why_worse": dict(self.why.most_common()),
            "judged_by_several": {
                "pairs": len(agreements),
                "mean_agreement": sum(agreements) / len(agreements) if agreements else None,
            },
            "masked": masked,
            "examples": {
                "kept": [_example(preference) for drawn in self._drawn.values() for _, preference in drawn],
                "rejected": self._set_aside.examples(),
            },
        }


def _example(preference: Preference) -> dict[str, Any]:
    return {
        "id": preference.id,
        "source": preference.source,
        "strength": preference.strength,
        "why": _reasons(preference),
        "characters": {side: _characters(getattr(preference, side)) for side in SIDES},
        **{side: shortened(getattr(preference, side)) for side in SIDES},
    }


def _reasons(preference: Preference) -> list[str]:
    reasons = preference.provenance.get("reasons")
    return [reason for reason in reasons if isinstance(reason, str)] if isinstance(reasons, list) else []


def _characters(messages: list[Message]) -> int:
    return sum(len(message["content"]) for message in messages)
