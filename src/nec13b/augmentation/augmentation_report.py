"""The accounts of an amplification: what became of every item that was asked for, what it cost, how varied it is."""

import statistics
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..dialogues.dialogue import Dialogue
from .augmentation_config import AugmentDialoguesConfig
from .diversity import diversity
from .outcome_journal import FAILED, KEPT, OUTCOMES, REJECTED, Outcome


class Accounts:
    """Counts outcomes; where an item was tried again, the last one is its outcome, but all have been paid for.

    Args:
        config: how many items were asked for, and the prices.
        outcomes: of the journal, in order.
    """

    def __init__(self, config: AugmentDialoguesConfig, outcomes: Iterable[Outcome]):
        self.config = config
        self.last: dict[tuple[int, int], Outcome] = {}
        self.paid: Counter[str] = Counter(requests=0, prompt_tokens=0, completion_tokens=0, unreadable_grades=0)
        for outcome in outcomes:
            self.last[outcome.number] = outcome
            for name in self.paid:
                self.paid[name] += getattr(outcome, name)

    def kept(self) -> list[Outcome]:
        """The items that were kept, in order of their numbers."""
        return [outcome for _, outcome in sorted(self.last.items()) if outcome.outcome == KEPT]

    def report(self, seeds: list[Dialogue]) -> dict[str, Any]:
        """The content of `report.json` as far as the journal tells it; requested = kept + rejected + failed + left."""
        last, kept = list(self.last.values()), self.kept()
        by_outcome = Counter(outcome.outcome for outcome in last)
        requested = self.config.items * self.config.rounds
        scores = Counter(outcome.dialogue.provenance.get("score") for outcome in kept)
        return {
            "requested": requested,
            **{name: by_outcome[name] for name in OUTCOMES},
            "left": requested - len(last),
            "rejected_by_reason": _reasons(last, REJECTED),
            "failed_by_reason": _reasons(last, FAILED),
            "by_operation": _table(last, lambda outcome: outcome.dialogue.provenance["operation"]),
            "by_round": _table(last, lambda outcome: str(outcome.round)),
            "by_language": _table(last, lambda outcome: outcome.dialogue.language),
            "kept_scores": {str(score): count for score, count in sorted(scores.items(), key=str)},
            **self.paid,
            "cost": round(self.config.price(self.paid["prompt_tokens"], self.paid["completion_tokens"]), 6),
            "diversity": diversities(kept, seeds),
        }


def diversities(kept: list[Outcome], seeds: list[Dialogue]) -> dict[str, Any]:
    """The diversity of the questions and of the answers that were kept, beside the first ones of the seeds."""
    measured = {}
    for name, role in (("questions", "user"), ("answers", "assistant")):
        new = [m["content"] for outcome in kept for m in outcome.new_messages if m["role"] == role]
        first = [next(m["content"] for m in seed.messages if m["role"] == role) for seed in seeds]
        measured[name] = diversity(new, first)
    return measured


def accounts_text(report: dict[str, Any]) -> str:
    """The accounts as a table for people."""
    lines = [f"{report['requested']:>8,} items requested", f"{report['kept']:>8,} kept"]
    for outcome in (REJECTED, FAILED):
        lines.append(f"{report[outcome]:>8,} {outcome}")
        lines += [f"{count:>16,} {reason}" for reason, count in report[f"{outcome}_by_reason"].items()]
    if report["left"]:
        lines.append(f"{report['left']:>8,} not yet asked for")
    retries = "".join(f", {count:,} × {reason}" for reason, count in report.get("retries", {}).items())
    lines.append(
        f"{report['requests']:>8,} replies asked for{f' (asked again in this run: {retries[2:]})' if retries else ''}"
    )
    lines.append(f"{report['prompt_tokens'] + report['completion_tokens']:>8,} tokens, cost {report['cost']:,.4g}")
    if report["unreadable_grades"]:
        lines.append(f"{report['unreadable_grades']:>8,} grades could not be read")
    for name, measured in report["diversity"].items():
        if measured:
            kept, seeds = measured["kept"], measured["seeds"]
            parts = [f"{measure.replace('_', ' ')} {kept[measure]:.2f} ({seeds[measure]:.2f})" for measure in seeds]
            parts.append(f"nearest seed {kept['nearest_seed']:.2f}")
            lines.append(f"{name} that were kept, {measured['texts']:,} at a time (as many seeds): {', '.join(parts)}")
    return "\n".join(lines)


def mean_score(report: dict[str, Any]) -> float | None:
    """The mean grade of the items that were kept; None where none has one."""
    scores = [int(score) for score, count in report["kept_scores"].items() if score != "None" for _ in range(count)]
    return round(statistics.mean(scores), 3) if scores else None


def _reasons(outcomes: list[Outcome], which: str) -> dict[str, int]:
    return dict(Counter(outcome.reason for outcome in outcomes if outcome.outcome == which).most_common())


def _table(outcomes: list[Outcome], key) -> dict[str, dict[str, int]]:
    counts = Counter((key(outcome), outcome.outcome) for outcome in outcomes)
    return {name: {each: counts[name, each] for each in OUTCOMES} for name in sorted({name for name, _ in counts})}
