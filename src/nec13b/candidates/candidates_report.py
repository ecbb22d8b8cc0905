"""What came of a sampling: answers by model, what was dropped and why, and how far the answers of a pair differ."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from ..preferences.answer_pair import AnswerPair
from .answer_checks import length_ratio
from .model_entry import ModelEntry
from .pair_choice import Choice
from .sampled_answer import FAILED, SampledAnswer


def answer_counts(entries: Sequence[ModelEntry], prompts: int, answers: Iterable[SampledAnswer]) -> dict[str, Any]:
    """What became of every answer that was asked for: requested = answered + failed + left.

    Args:
        entries: the models.
        prompts: how many there are.
        answers: the last one of each place.
    """
    answers = list(answers)
    failures = Counter(answer.failure for answer in answers if answer.state == FAILED)
    requested = prompts * sum(entry.answers for entry in entries)
    by_model = {}
    for entry in entries:
        own = [a for a in answers if a.model == entry.label and a.state != FAILED]
        lengths = [answer.completion_tokens for answer in own]
        by_model[entry.label] = {
            "answered": len(own),
            "mean_tokens": round(statistics.mean(lengths), 1) if lengths else None,
            "ended": sum(answer.finish_reason == "stop" for answer in own),
        }
    return {
        "requested": requested,
        "answered": len(answers) - failures.total(),
        "failed": failures.total(),
        "left": requested - len(answers),
        "failed_by_reason": dict(failures.most_common()),
        "by_model": by_model,
    }


def pair_counts(choices: Sequence[Choice], checks: int, min_length_ratio: float) -> dict[str, Any]:
    """What was dropped, which prompts have no pair, and how the answers of the pairs stand to each other.

    Args:
        choices: what came of each prompt.
        checks: planted ones.
        min_length_ratio: from which on two answers are of comparable length.
    """
    pairs = [pair for choice in choices for pair in choice.pairs]
    dropped = Counter(dropped.reason for choice in choices for dropped in choice.dropped)
    ratios = [length_ratio(pair.first.text, pair.second.text) for pair in pairs]
    between = Counter(" - ".join(sorted(_label(answer) for answer in (pair.first, pair.second))) for pair in pairs)
    return {
        "pairs": len(pairs),
        "check_pairs": checks,
        "prompts_with_a_pair": sum(bool(choice.pairs) for choice in choices),
        "prompts_without": dict(Counter(_why_none(c) for c in choices if not c.pairs).most_common()),
        "answers_dropped": dict(dropped.most_common()),
        "between": dict(between.most_common()),
        "similarity": spread([pair.provenance["similarity"] for pair in pairs]),
        "length_ratio": spread(ratios),
        "length_difference_characters": spread([abs(len(p.first.text) - len(p.second.text)) for p in pairs]),
        "not_of_comparable_length": sum(ratio < min_length_ratio for ratio in ratios),
        "first_is_longer": _share_of_longer_first(pairs),
    }


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Quartiles, smallest and largest of some values; None where there are none."""
    if not values:
        return None
    lower, middle, upper = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    named = {"smallest": min(values), "lower_quartile": lower, "median": middle, "upper_quartile": upper,
             "largest": max(values)}  # fmt: skip
    return {name: round(value, 3) for name, value in named.items()}


def report_text(report: dict[str, Any]) -> str:
    """The report as a table for people."""
    lines = [f"{report['prompts']:>8,} prompts", f"{report['requested']:>8,} answers asked for"]
    for label, counts in report["by_model"].items():
        tokens = f", {counts['mean_tokens']:,.0f} tokens on average" if counts["mean_tokens"] is not None else ""
        lines.append(f"{counts['answered']:>16,} by {label}, {counts['ended']:,} came to their end{tokens}")
    lines += [f"{count:>16,} failed: {reason}" for reason, count in report["failed_by_reason"].items()]
    if report["left"]:
        lines.append(f"{report['left']:>16,} not yet asked for")
    lines += [f"{-count:>+8,} {reason.replace('_', ' ')}" for reason, count in report["answers_dropped"].items()]
    lines.append(f"{report['pairs']:>8,} pairs of {report['prompts_with_a_pair']:,} prompts")
    lines += [f"{count:>16,} prompts without: {reason}" for reason, count in report["prompts_without"].items()]
    if report["check_pairs"]:
        lines.append(f"{report['check_pairs']:>8,} planted checks")
    if report["pairs"]:
        alike, ratio = report["similarity"], report["length_ratio"]
        lines.append(
            f"the answers of a pair share {alike['median']:.0%} of their 3-grams (median), the shorter has "
            f"{ratio['median']:.0%} of the longer one's characters; {report['not_of_comparable_length']:,} pairs are "
            "not of comparable length"
        )
    return "\n".join(lines)


def _label(answer) -> str:
    return str(answer.provenance.get("label", "?"))


def _why_none(choice: Choice) -> str:
    if not choice.usable and not choice.dropped:
        return "no answer"
    reasons = [dropped.reason for dropped in choice.dropped]
    return f"mostly {Counter(reasons).most_common(1)[0][0].replace('_', ' ')}" if reasons else "a single answer"


def _share_of_longer_first(pairs: Sequence[AnswerPair]) -> float | None:
    uneven = [len(p.first.text) > len(p.second.text) for p in pairs if len(p.first.text) != len(p.second.text)]
    return round(statistics.mean(uneven), 3) if uneven else None
