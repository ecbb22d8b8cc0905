"""From what several people said of a pair to one preference, or to the reason why there is none.

Of each annotator the last judgement of a pair counts, and those who skipped it do not. Each judgement has a score, from
-2 where the first answer is clearly better to 2 where the second one is; a tie and `both_bad` score 0. Then

1. fewer judges than `min_judges`: the pair waits for another one;
2. more than half say `both_bad`, or more than half say `tie`: the pair is dropped;
3. more than half prefer the same answer, and the mean score leans to it by `min_margin` at least: it is chosen;
4. else people disagree: the pair is unresolved, and can be given to one more annotator.

An answer that was mended by somebody who prefers it is chosen in its mended form, the latest one of several.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..dialogues.dialogue import Message
from ..errors import InputError
from .answer_pair import AnswerPair, CandidateAnswer
from .judgement import Judgement
from .preference import Preference

TOO_FEW, CONFLICT, TIE, BOTH_BAD, UNKNOWN = "too few judges", "conflict", "tie", "both bad", "unknown pair"
WAITING = (TOO_FEW, CONFLICT)  # for which one more judgement may help


@dataclass
class AdjudicationRule:
    """When judgements make a preference."""

    min_judges: int = field(
        default=1, metadata={"help": "Judgements, skipped ones aside, that a pair needs before it is decided."}
    )
    min_margin: float = field(
        default=0.5,
        metadata={"help": "How far, 0 to 2, the mean score must lean to an answer (slightly better 1, better 2)."},
    )
    clear_margin: float = field(
        default=1.5, metadata={"help": "Mean score, 0 to 2, from which on a preference is clear, not slight."}
    )
    use_edits: bool = field(
        default=True, metadata={"help": "Take the better answer as an annotator mended it, where one did."}
    )

    def check_adjudication_rule(self) -> None:
        """Raises InputError where a value makes no sense."""
        if self.min_judges < 1:
            raise InputError(f"min_judges must be at least 1, not {self.min_judges}")
        for name in ("min_margin", "clear_margin"):
            if not 0 <= getattr(self, name) <= 2:
                raise InputError(f"{name} must lie between 0 and 2, not {getattr(self, name)}")


@dataclass(frozen=True)
class Undecided:
    """A pair from which no preference came.

    Attributes:
        pair: its id.
        reason: `too few judges`, `conflict`, `tie`, `both bad`, or `unknown pair` where a judgement names none.
        detail: the verdicts: `2 × first_better, 1 × tie`.
    """

    pair: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Adjudication:
    """What came out of the judgements: preferences in the order of the pairs, and the pairs without one."""

    preferences: list[Preference]
    undecided: list[Undecided]

    @property
    def unresolved(self) -> list[str]:
        """Ids of the pairs for which one more judgement may help: too few judges, or a conflict."""
        return [each.pair for each in self.undecided if each.reason in WAITING]


def adjudicated(pairs: Iterable[AnswerPair], judgements: Iterable[Judgement], rule: AdjudicationRule) -> Adjudication:
    """The preferences that the judgements of some pairs make.

    Args:
        pairs: with an id each.
        judgements: in the order in which they were made; those of pairs that are not there are told as undecided.
        rule: when they make a preference.
    """
    by_pair: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        by_pair.setdefault(judgement.pair, []).append(judgement)
    preferences, undecided = [], []
    for pair in pairs:
        outcome = preference_of_pair(pair, by_pair.pop(pair.id, []), rule)
        (preferences if isinstance(outcome, Preference) else undecided).append(outcome)
    for name, unknown in by_pair.items():
        undecided.append(Undecided(name, UNKNOWN, f"{len(unknown)} judgements name it"))
    return Adjudication(preferences, undecided)


def preference_of_pair(
    pair: AnswerPair, judgements: Sequence[Judgement], rule: AdjudicationRule
) -> Preference | Undecided:
    """What the judgements of one pair make of it."""
    counted = [each for each in last_of_each_annotator(judgements) if each.verdict != "skipped"]
    said = ", ".join(f"{n} × {verdict}" for verdict, n in Counter(each.verdict for each in counted).most_common())
    if len(counted) < rule.min_judges:
        wanted = f"{len(counted)} of {rule.min_judges}"
        return Undecided(pair.id, TOO_FEW, f"{wanted}: {said}" if said else wanted)
    scores = [each.score or 0 for each in counted]
    for verdict, reason in (("both_bad", BOTH_BAD), ("tie", TIE)):
        if 2 * sum(each.verdict == verdict for each in counted) > len(counted):
            return Undecided(pair.id, reason, said)
    mean = sum(scores) / len(counted)
    side = 1 if mean > 0 else -1
    agreeing = [each for each, score in zip(counted, scores) if score * side > 0]
    if 2 * len(agreeing) <= len(counted) or abs(mean) < rule.min_margin:
        return Undecided(pair.id, CONFLICT, said)
    chosen, rejected = (pair.second, pair.first) if side > 0 else (pair.first, pair.second)
    edit = _last_edit(agreeing, chosen) if rule.use_edits else None
    reasons = Counter(reason for each in agreeing for reason in each.reasons)
    provenance: dict[str, Any] = {
        **pair.provenance,
        "chosen": chosen.provenance,
        "rejected": rejected.provenance,
        "judges": len(counted),
        "agreement": round(len(agreeing) / len(counted), 4),
        "mean_score": round(abs(mean), 4),
        "reasons": [reason for reason, _ in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))],
        "edited_by": edit.annotator if edit else "",
    }
    return Preference(
        pair.prompt,
        _message(edit.edited if edit else chosen.text),
        _message(rejected.text),
        id=pair.id,
        source=pair.source,
        language=pair.language,
        licence=pair.licence,
        strength="clear" if abs(mean) >= rule.clear_margin else "slight",
        provenance={name: value for name, value in provenance.items() if value not in ("", {}, [])},
    )


def last_of_each_annotator(judgements: Sequence[Judgement]) -> list[Judgement]:
    """The judgements of one pair that count: people may think again, and the last word of each stands."""
    last: dict[str, Judgement] = {}
    for judgement in judgements:
        last.pop(judgement.annotator, None)  # so that the order is that of the last words
        last[judgement.annotator] = judgement
    return list(last.values())


def _last_edit(agreeing: list[Judgement], chosen: CandidateAnswer) -> Judgement | None:
    """The latest judgement that mends the answer; of equal times, or of none, the later one in the list."""
    edits = [each for each in agreeing if each.edited.strip() and each.edited.strip() != chosen.text.strip()]
    return max(reversed(edits), key=lambda each: each.time, default=None)


def _message(text: str) -> list[Message]:
    return [Message(role="assistant", content=text)]
