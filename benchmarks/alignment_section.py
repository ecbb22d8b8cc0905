"""The section and the picture that benchmarks/alignment.py writes."""

import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment_measures import LEAST_VARIED, MOST_REPEATED, SHORTEST, Run, wins
from results import table


@dataclass(frozen=True)
class Outcome:
    """All that came out.

    Attributes:
        start: measures of the start model.
        runs: of each arm.
        policies: the name of an arm's policies before their seed, as in `rewards`.
        accuracies: of the reward models, by seed.
        rewards: what each of them says of the answers of every policy.
    """

    start: dict[str, Any]
    runs: dict[str, list[Run]]
    policies: dict[str, str]
    accuracies: dict[int, float]
    rewards: dict[int, dict[str, list[float]]]

    def wins(self, arm: str, run: Run) -> float | None:
        """The share of answers above the start model's, by reward models of other seeds."""
        return wins(self.rewards, f"{self.policies[arm]}-{run.seed}", run.seed)


def measures_of(outcome: Outcome) -> dict[str, tuple[Callable[[str, Run], float | None], str, str]]:
    """By the name of a measure: its value for a run of an arm, its form, and its value for the start model."""
    start = outcome.start
    shape = start["shape"]
    return {
        "accuracy of the implicit reward": (lambda _, run: run.implicit_accuracy(start), "{:.1%}", ""),
        "chosen answer likelier": (lambda _, run: run.measures["accuracy"], "{:.1%}", f"{start['accuracy']:.1%}"),
        "the same, by mean over its tokens": (
            lambda _, run: run.measures["accuracy_per_token"], "{:.1%}", f"{start['accuracy_per_token']:.1%}"
        ),
        "answers above the start model's": (outcome.wins, "{:.1%}", ""),
        "divergence, nats an answer": (lambda _, run: run.measures["divergence"], "{:.2f}", "0"),
        "tokens of an answer": (lambda _, run: run.measures["shape"]["tokens"], "{:.1f}", f"{shape['tokens']:.1f}"),
        "different pairs of words": (
            lambda _, run: run.measures["shape"]["distinct_2"], "{:.1%}", f"{shape['distinct_2']:.1%}"
        ),
        "repetition within an answer": (
            lambda _, run: run.measures["shape"]["repetition"], "{:.1%}", f"{shape['repetition']:.1%}"
        ),
        "wall time, minutes": (lambda _, run: run.seconds / 60, "{:.1f}", ""),
        "processor time, minutes": (lambda _, run: run.cpu_seconds / 60, "{:.1f}", ""),
        "peak memory, GiB": (lambda _, run: run.peak_bytes / 2**30, "{:.2f}", ""),
    }  # fmt: skip


def section(outcome: Outcome, settings: str) -> str:
    """The body of the section: mean and spread over seeds, what each run came to, and what is to be said of it."""
    arms = list(outcome.runs)
    rows = []
    for name, (value, form, at_start) in measures_of(outcome).items():
        found = [[value(arm, run) for run in outcome.runs[arm]] for arm in arms]
        if any(v is None for of in found for v in of):
            continue
        rows.append([name, at_start, *(_mean_and_spread(of, form) for of in found)])
    collapsed = [[run.is_collapsed(outcome.start) for run in outcome.runs[arm]] for arm in arms]
    rows.append(["collapsed runs", "", *(f"{sum(of)} of {len(of)}" for of in collapsed)])
    accuracies = list(outcome.accuracies.values())
    seeds = len(outcome.runs[arms[0]])
    judges, above = "", ""
    if accuracies:
        share = _mean_and_spread(accuracies, "{:.1%}")
        judges = f"The reward models prefer the chosen answer of {share} of the held-out pairs. "
        above = (
            " Answers above the start model's are those that reward models of the other seeds put above its answer to "
            "the same prompt."
        )
    return (
        f"{settings}\n\n"
        f"Mean over {seeds} seeds, and the standard deviation between them. The implicit reward of a policy is the "
        "log-probability of an answer less the start model's. A divergence is taken over the whole vocabulary along "
        f"answers that the policy sampled.{above}\n\n"
        + table(["", "start", *arms], rows)
        + f"\n\n{judges}A run counts as collapsed where its answers have under {SHORTEST:.0%} of the start model's "
        f"tokens or {LEAST_VARIED:.0%} of its different pairs of words, where they repeat {100 * MOST_REPEATED:.0f} "
        "points more, or where a loss is no number.\n\n"
        + table(
            ["run", "seed", "implicit", "above start", "divergence", "tokens", "collapsed"],
            [_row_of_run(outcome, arm, run) for arm in arms for run in outcome.runs[arm]],
        )
    )


def _row_of_run(outcome: Outcome, arm: str, run: Run) -> list[str]:
    above = outcome.wins(arm, run)
    return [
        arm, str(run.seed), f"{run.implicit_accuracy(outcome.start):.1%}", f"{above:.1%}" if above is not None else "",
        f"{run.measures['divergence']:.2f}", f"{run.measures['shape']['tokens']:.1f}",
        "yes" if run.is_collapsed(outcome.start) else "no",
    ]  # fmt: skip


def _mean_and_spread(values: list[float], form: str) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{form.format(statistics.mean(values))} ± {form.format(spread).removesuffix('%')}"


def draw(path: Path, outcome: Outcome) -> Path:
    """A point for each run, and the start model as a line: accuracy, wins, divergence, length.

    Args:
        path: a PNG file.
        outcome: what came out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shape = outcome.start["shape"]
    panels = {
        "accuracy of the implicit reward": (lambda _, run: 100 * run.implicit_accuracy(outcome.start), 50, "%"),
        "answers above the start model's": (lambda arm, run: 100 * (outcome.wins(arm, run) or 0), 50, "%"),
        "divergence from the start model": (lambda _, run: run.measures["divergence"], 0, "nats an answer"),
        "length of answers": (lambda _, run: run.measures["shape"]["tokens"], shape["tokens"], "tokens"),
    }
    figure = Figure(figsize=(11, 3.4), dpi=140, layout="constrained")
    for axes, (title, (value, at_start, unit)) in zip(figure.subplots(1, len(panels)), panels.items()):
        for place, (arm, runs) in enumerate(outcome.runs.items()):
            found = [value(arm, run) for run in runs]
            middles = [place + 0.12 * (i - (len(found) - 1) / 2) for i in range(len(found))]
            axes.scatter(middles, found, color=f"C{place}", s=34, zorder=3)
            axes.hlines(statistics.mean(found), place - 0.3, place + 0.3, color=f"C{place}", linewidth=1.4)
        axes.axhline(at_start, color="0.5", linestyle=":", linewidth=1.2)
        axes.set_xlim(-0.6, len(outcome.runs) - 0.4)
        axes.set_xticks(range(len(outcome.runs)), [arm.replace(" + ", "\n+ ") for arm in outcome.runs], fontsize=8)
        axes.set_title(title, fontsize=9)
        axes.set_ylabel(unit, fontsize=8)
        axes.tick_params(axis="y", labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.25)
    temporary = path.with_name(f".{path.stem}.tmp.png")
    FigureCanvasAgg(figure).print_png(temporary)
    os.replace(temporary, path)
    return path
