"""Scores with their intervals, over questions and seeds, and the table that says by which protocol they came about.

The questions of JSQuAD come in passages, and who misreads a passage misses several of its questions. So passages are
drawn again, not questions, together with the seeds of the examples.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..japanese_font import is_wide
from ..long_context.position_losses import Estimate, estimate

NAMES = {"exact_match": "EM", "exact_match_jp": "EM, jp-stable", "exact_match_jp_line": "EM, jp-stable, whole line",
         "exact_match_first": "EM, first answer only", "f1": "F1 (characters)", "acc": "accuracy",
         "acc_norm": "accuracy by length"}  # fmt: skip


def summaries(measured: dict[str, dict[str, list[dict]]]) -> dict[str, dict]:
    """By task: the protocol, and by model each metric's mean, interval and values by seed, in percent.

    Args:
        measured: what `measure` returned, by task and label, one a seed.
    """
    return {task: _summary(labels) for task, labels in measured.items()}


def _summary(labels: dict[str, list[dict]]) -> dict:
    first, *others = labels
    every = [run for runs in labels.values() for run in runs]
    metrics = [metric for metric in every[0]["scores"] if all(metric in run["scores"] for run in every)]
    models = {}
    for label, runs in labels.items():
        scores = {
            metric: {**_plain(score(runs, metric)), "by_seed": [100 * run["scores"][metric] for run in runs]}
            for metric in metrics
        }
        errors = {metric: [_percent(run["standard_errors"][metric]) for run in runs] for metric in metrics}
        cut = max(run["protocol"]["prompts_cut"] or 0 for run in runs)
        models[label] = {"scores": scores, "standard_errors": errors, "prompts_cut": cut,
                         "dtype": runs[0]["protocol"].get("dtype", "")}  # fmt: skip
    own = ("few_shot_seed", "prompts_cut", "window", "dtype")
    protocol = {key: value for key, value in every[0]["protocol"].items() if key not in own}
    protocol["few_shot_seeds"] = [run["protocol"]["few_shot_seed"] for run in labels[first]]
    differences = {
        label: {metric: _plain(score(labels[label], metric, labels[first])) for metric in metrics} for label in others
    }
    return {"protocol": protocol, "metrics": metrics, "models": models, "difference_from_first": differences}


def score(runs: Sequence[dict], metric: str, against: Sequence[dict] | None = None) -> Estimate:
    """A metric's mean with its 95% interval over passages and seeds, in percent.

    Args:
        runs: of one model on one task, one a seed, on the same questions.
        metric: its name.
        against: of another model with the same seeds; then it is the difference, question by question.
    """
    values, weights = by_passage(runs, metric)
    if against is not None:
        values = values - by_passage(against, metric)[0]
    return estimate(100 * values, weights)


def by_passage(runs: Sequence[dict], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """(mean of each passage by seed, shape (seeds, passages); how many questions each has)."""
    groups = np.array([question["group"] for question in runs[0]["questions"]])
    sizes = np.bincount(groups)
    sums = [np.bincount(groups, [question[metric] for question in one["questions"]]) for one in runs]
    return np.stack(sums) / sizes, sizes


def table(tasks: dict[str, dict]) -> list[str]:
    """What is printed: a block a task."""
    lines = []
    for task, found in tasks.items():
        protocol, metrics, models = found["protocol"], found["metrics"], found["models"]
        same = protocol["same_as_jp_stable"]
        lines += [
            "",
            f"{task}: {protocol['asked']:,} questions, {protocol['asked_from']}",
            f"  prompt {protocol['prompt']}{f', word for word jp-stable {same}' if same else ''}"
            f"{', in the chat template' if protocol['chat_template'] else ''}"
            f"{', tokens as in jp-stable' if protocol['as_jp_stable'] else ''}, {protocol['shots']} examples "
            f"({protocol['examples']}) out of {protocol['examples_to_choose_from']:,} of {protocol['examples_from']}",
            f"  seeds {', '.join(map(str, protocol['few_shot_seeds']))}; "
            + ", ".join(f"{name} {version}" for name, version in protocol["versions"].items())
            + f", task version {protocol['task_version']}",
        ]
        width = max(map(columns, models)) + 2
        cells = {label: [_cell(model["scores"][m]) for m in metrics] for label, model in models.items()}
        widths = [max(len(NAMES[m]), *(len(row[i]) for row in cells.values())) for i, m in enumerate(metrics)]
        lines.append("  " + " " * width + "  ".join(NAMES[m].ljust(w) for m, w in zip(metrics, widths)))
        for label, row in cells.items():
            lines.append(
                "  " + label + " " * (width - columns(label)) + "  ".join(cell.ljust(w) for cell, w in zip(row, widths))
            )
        for label, row in found["difference_from_first"].items():
            said = f"  {label} less {next(iter(models))}: {NAMES[metrics[0]]} {_cell(row[metrics[0]], '+')}"
            lines.append(said)
        for label, model in models.items():
            if model["prompts_cut"]:
                lines.append(f"  {label}: {model['prompts_cut']:,} prompts were longer than its window; what is cut is "
                             "the beginning, so instruction and examples are missing")  # fmt: skip
    return lines


def columns(text: str) -> int:
    """How many columns of a terminal a text takes: two for a Japanese character."""
    return sum(1 + is_wide(character) for character in text)


def _cell(found: dict, sign: str = "") -> str:
    return f"{found['mean']:{sign}.2f} [{found['low']:{sign}.2f}, {found['high']:{sign}.2f}]"


def _plain(found: Estimate) -> dict[str, float]:
    return dataclasses.asdict(found)


def _percent(value: float | str) -> float | None:
    """lm-eval says N/A where there is one question."""
    return 100 * value if isinstance(value, float) else None
