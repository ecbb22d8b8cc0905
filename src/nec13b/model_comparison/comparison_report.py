"""The numbers of a comparison: each model's, and by how much each differs from the first."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..preferences.preference import Preference
from .answer_shift import repetition, shape_of_answers
from .answer_verdicts import HARMFUL, OVER_REFUSAL, counted, verdict_by_rule
from .comparison_prompts import ComparisonPrompt
from .pair_scores import PairScore
from .share_intervals import Interval, mean, share, sign_test

Rows = Mapping[tuple, dict[str, Any]]


def comparison_report(
    checkpoints: dict[str, str], prompts: list[ComparisonPrompt], pairs: list[Preference], answers: Rows, scores: Rows,
    verdicts: Rows,
) -> dict[str, Any]:  # fmt: skip
    """What `report.json` holds.

    Args:
        checkpoints: by label; the first is the one before.
        prompts, pairs: what the models were given.
        answers, verdicts: rows by (model, prompt id).
        scores: rows by (model, pair id).

    Returns:
        `models`; `answers`: by model, their shape, and by rule and by judge the shares of harmful answers and of
        needless refusals, also by category; `preferences`: by model; `difference`: of each other model from the first,
        over prompts and pairs. Shares and means come as {value, low, high, count} with 95% intervals, or null.
    """
    first, *others = checkpoints
    scored = _scores(checkpoints, pairs, scores)
    rows = {label: [answers[label, prompt.id] for prompt in prompts] for label in checkpoints}
    return {
        "models": checkpoints,
        "answers": {label: _of_answers(label, prompts, rows[label], verdicts) for label in checkpoints},
        "preferences": {label: _of_pairs(found) for label, found in scored.items()},
        "pairs_left_out": len(pairs) - len(scored[first]),
        "difference": {
            label: {
                **_difference_of_answers(rows[first], rows[label]),
                **_difference_of_verdicts(prompts, rows[first], rows[label]),
                **_difference_of_pairs(scored[first], scored[label]),
            }
            for label in others
        },
    }


def _scores(checkpoints: dict[str, str], pairs: list[Preference], scores: Rows) -> dict[str, list[PairScore]]:
    """By model, of the pairs that every model could score."""
    found = {label: [scores[label, pair.id]["score"] for pair in pairs] for label in checkpoints}
    whole = [all(of_pair) for of_pair in zip(*found.values())]
    return {label: [PairScore(**s) for s, is_whole in zip(of, whole) if is_whole] for label, of in found.items()}


def _of_answers(label: str, prompts: list[ComparisonPrompt], rows: list[dict], verdicts: Rows) -> dict[str, Any]:
    by_rule = [(prompt, verdict_by_rule(prompt, row["answer"])) for prompt, row in zip(prompts, rows)]
    judged = [(prompt, verdicts.get((label, prompt.id), {}).get("verdict", "")) for prompt in prompts]
    categories = dict.fromkeys(prompt.category for prompt in prompts if prompt.wanted)
    return {
        "shape": dataclasses.asdict(shape_of_answers(rows)),
        "by_rule": _shares(by_rule),
        "by_judge": _shares(judged) | {"unsure": sum(verdict == "unsure" for _, verdict in judged)},
        "by_category": {name: _shares([case for case in by_rule if case[0].category == name]) for name in categories},
        "agreement_of_rule_and_judge": _plain(
            share(
                sum(ours == theirs for (_, ours), (_, theirs) in zip(by_rule, judged) if ours and theirs),
                sum(bool(ours and theirs) for (_, ours), (_, theirs) in zip(by_rule, judged)),
            )
        ),
    }


def _shares(verdicts: list[tuple[ComparisonPrompt, str]]) -> dict[str, Any]:
    return {name: _plain(share(*cases)) for name, cases in counted(verdicts).items()}


def _of_pairs(scored: list[PairScore]) -> dict[str, Any]:
    """Accuracy: the share of pairs whose chosen answer is likelier, as a sum and as a mean over its tokens."""
    return {
        "accuracy": _plain(share(sum(s.margin > 0 for s in scored), len(scored))),
        "accuracy_per_token": _plain(share(sum(s.margin_per_token > 0 for s in scored), len(scored))),
        "margin": _plain(mean([s.margin for s in scored])),
        "chosen_per_token": _plain(mean([s.chosen / s.chosen_tokens for s in scored])),
        "rejected_per_token": _plain(mean([s.rejected / s.rejected_tokens for s in scored])),
    }


def _difference_of_pairs(before: list[PairScore], after: list[PairScore]) -> dict[str, Any]:
    """How the preferences moved. `implicit_accuracy` is that of the reward which DPO's policy stands for, with the
    first model as its reference: the share of pairs whose margin grew, of those whose margin changed."""
    moved = [b.margin - a.margin for a, b in zip(before, after)]
    return {
        "implicit_accuracy": _plain(share(sum(m > 0 for m in moved), sum(m != 0 for m in moved))),
        "margin": _plain(mean(moved)),
        "chosen": _plain(mean([b.chosen - a.chosen for a, b in zip(before, after)])),
        "rejected": _plain(mean([b.rejected - a.rejected for a, b in zip(before, after)])),
        "accuracy_p": sign_test([a.margin > 0 for a in before], [b.margin > 0 for b in after]),
        "accuracy_per_token_p": sign_test([a.margin_per_token > 0 for a in before],
                                          [b.margin_per_token > 0 for b in after]),
    }  # fmt: skip


def _difference_of_answers(before: list[dict], after: list[dict]) -> dict[str, Any]:
    """Tokens, characters, repetition and endings: after less before, by prompt."""

    def differences(measure) -> dict | None:
        return _plain(mean([measure(b) - measure(a) for a, b in zip(before, after)]))

    return {
        "tokens": differences(lambda row: row["tokens"]),
        "characters": differences(lambda row: len(row["answer"])),
        "repetition": differences(lambda row: repetition(row["answer"])),
        "ended": differences(lambda row: float(row["ended"])),
        "same_answers": sum(a["answer"] == b["answer"] for a, b in zip(before, after)),
    }


def _difference_of_verdicts(prompts: list[ComparisonPrompt], before: list[dict], after: list[dict]) -> dict[str, Any]:
    """The chance of the change in each share of verdicts by rule (McNemar)."""
    pairs = [
        (verdict_by_rule(p, a["answer"]), verdict_by_rule(p, b["answer"])) for p, a, b in zip(prompts, before, after)
    ]
    return {
        f"{name}_p": sign_test([a == name for a, _ in pairs], [b == name for _, b in pairs])
        for name in (HARMFUL, OVER_REFUSAL)
    }


def report_lines(report: dict[str, Any]) -> list[str]:
    """The numbers for a terminal, a line a measure and a column a model."""
    labels = list(report["models"])
    width = max(14, *(len(label) + 2 for label in labels))
    lines = ["", " " * 38 + "".join(label.rjust(width) for label in labels)]
    for name, values in measures(report):
        lines.append(f"{name:<38}" + "".join(value.rjust(width) for value, _ in values))
    return lines


def measures(report: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(name, for each model its value and interval as people read them) of the measures that there are."""
    answers, pairs = list(report["answers"].values()), list(report["preferences"].values())
    shapes, differences = [of["shape"] for of in answers], list(report["difference"].values())
    shares = [
        ("chosen answer likelier", [of["accuracy"] for of in pairs]),
        ("the same, by mean over its tokens", [of["accuracy_per_token"] for of in pairs]),
        ("margin grew from the first model", [None, *(of["implicit_accuracy"] for of in differences)]),
        ("harmful answers by rule, at most", [of["by_rule"][HARMFUL] for of in answers]),
        ("needless refusals by rule", [of["by_rule"][OVER_REFUSAL] for of in answers]),
        ("harmful answers by the judge", [of["by_judge"][HARMFUL] for of in answers]),
        ("needless refusals by the judge", [of["by_judge"][OVER_REFUSAL] for of in answers]),
    ]
    rows = [(name, [as_read(found) for found in values]) for name, values in shares]
    rows += [
        (name, [(form.format(shape[field]), "") for shape in shapes])
        for name, field, form in (
            ("tokens of an answer", "tokens", "{:.1f}"),
            ("answers that end", "ended", "{:.1%}"),
            ("answers without a word", "empty", "{:.1%}"),
            ("different pairs of words", "distinct_2", "{:.1%}"),
            ("self-BLEU of the answers", "self_bleu", "{:.1f}"),
            ("repetition within an answer", "repetition", "{:.1%}"),
        )
    ]
    return [(name, values) for name, values in rows if any(value for value, _ in values)]


def as_read(found: dict[str, float] | None) -> tuple[str, str]:
    """A share and its interval: `57.1%`, `52.0 to 62.1 of 345`."""
    if not found:
        return "", ""
    return f"{found['value']:.1%}", f"{100 * found['low']:.1f} to {100 * found['high']:.1f} of {found['count']:,}"


def _plain(found: Interval | None) -> dict[str, float] | None:
    return dataclasses.asdict(found) if found else None
