"""All evaluations of a set of models on one page: figures 2, 3 and 4 of the paper with their tables; and, if so wanted,
the stages that led there.

It reads what `evaluation/loss_by_position.py`, `jglue.py` and `rakuda_judge.py` (or `rakuda_report.py`) have written,
and measures nothing itself. A model is the same in all of them if it has the same label.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import html_page
from ..dry_run import DryRun, corpus_inputs
from ..errors import InputError
from ..japanese_font import columns_of
from ..run_record import read_json, write_json
from .stage_summary import StageSummary, picture_of, stage_summary

TEMPLATE, PAGE_NAME, RESULT_NAME = "report_page.html.j2", "report.html", "report.json"
# By the file of results: the figure beside it, and the command that writes both.
POSITIONS, JGLUE, RAKUDA = "loss_by_position.json", "jglue.json", "rakuda.json"
FIGURES = {POSITIONS: "loss_by_position.png", JGLUE: "jglue.png", RAKUDA: "win_rates.png"}
COMMANDS = {
    POSITIONS: "evaluation/loss_by_position.py",
    JGLUE: "evaluation/jglue.py",
    RAKUDA: "evaluation/rakuda_judge.py",
}


@dataclass
class ReportConfig:
    """One page of all evaluations of a set of models, and of the stages that made them."""

    results: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Folders that loss_by_position.py, jglue.py, rakuda_judge.py or rakuda_report.py have written."
        },
    )
    models: list[str] = field(
        default_factory=list, metadata={"help": "Labels for the table of all, in this order. Default: all."}
    )
    stages: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Folders of recipes, in the order of the page: what each made, in what time, with its pictures."
        },
    )
    title: str = field(default="Evaluation", metadata={"help": "Heading of the page."})
    note: str = field(default="", metadata={"help": "What a reader should know first; an empty line parts paragraphs."})
    output_dir: str = field(default="runs/report", metadata={"help": "Folder that the page goes to."})


def report_dry_run(config: ReportConfig) -> DryRun:
    """Of evaluation/report.py: which folders are there."""
    inputs = corpus_inputs("results", config.results, "the command of that evaluation makes it")
    inputs += corpus_inputs("stages", config.stages, "its recipe makes it")
    plan = f"puts what is there on a page, of models {', '.join(config.models) or 'all'}"
    return DryRun(tuple(inputs), (plan,), config.output_dir, "report.html, report.json, run.json")


@dataclass(frozen=True)
class Evaluation:
    """What one command has written.

    Attributes:
        name: of the file of results, one of FIGURES.
        folder: where it lies.
        values: its content.
        picture: the figure, as a data address shows it; empty where there is none.
    """

    name: str
    folder: Path
    values: dict[str, Any]
    picture: str


def write_report(config: ReportConfig) -> dict[str, Any]:
    """Writes `report.html` and `report.json`.

    Returns:
        The content of `report.json`: for each model, its headline in each evaluation.

    Raises:
        InputError: no results are found, a stage has no record, a label is unknown, or a file is of another make.
    """
    stages = [stage_summary(Path(folder)) for folder in config.stages]
    evaluations = read_evaluations(config.results)
    if not evaluations and not stages:
        where = ", ".join(config.results) or "no folder, as --results is empty"
        raise InputError(f"no results lie in {where}; {', '.join(COMMANDS.values())} make some")
    try:
        columns = [
            {**column, "folder": evaluation.folder} for evaluation in evaluations for column in _columns(evaluation)
        ]
    except (KeyError, TypeError, AttributeError, IndexError, StopIteration):
        places = ", ".join(str(evaluation.folder / evaluation.name) for evaluation in evaluations)
        raise InputError(f"one of {places} is not of this version of the commands; make it again") from None
    names = [column["name"] for column in columns]
    for column in columns:  # several folders of one evaluation
        if names.count(column["name"]) > 1:
            column["name"] += f" ({column['folder']})"
    known = list(dict.fromkeys(label for column in columns for label in column["values"]))
    if unknown := [label for label in config.models if label not in known]:
        raise InputError(f"there is no model {unknown[0]!r} in the results; there are {', '.join(known)}")
    labels = config.models or known
    summary = {label: {column["name"]: column["values"].get(label) for column in columns} for label in labels}
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / RESULT_NAME, summary)
    values = {
        "title": config.title, "note": config.note.split("\n\n") if config.note else [], "stages": stages,
        "seconds": sum(stage.seconds for stage in stages), "links": _links(stages, output),
        "evaluations": evaluations, "columns": columns, "labels": labels, "commands": COMMANDS,
    }  # fmt: skip
    filters = {"cell": cell, "ranges": _ranges, "duration": duration, "figure": figure}
    html_page.write_page(output / PAGE_NAME, Path(__file__).with_name(TEMPLATE), values, **filters)
    return summary


def read_evaluations(folders: Sequence[str]) -> list[Evaluation]:
    """The results that lie in folders, in the order of the paper's figures."""
    found = []
    for name, figure in FIGURES.items():
        for folder in map(Path, folders):
            if (folder / name).is_file():
                picture = folder / figure
                data = picture_of(picture) if picture.is_file() else ""
                found.append(Evaluation(name, folder, read_json(folder / name, COMMANDS[name]), data))
    return found


def summary_text(summary: dict[str, dict[str, Any]]) -> str:
    """The table of all models, for a terminal."""
    if not summary:
        return ""
    width = max(map(columns_of, summary)) + 2
    names = list(next(iter(summary.values())))
    rows = {
        label: [cell(row[name], 3 if name.startswith("loss") else 1) for name in names]
        for label, row in summary.items()
    }
    widths = [max(len(name), *(len(row[i]) for row in rows.values())) + 2 for i, name in enumerate(names)]
    lines = [" " * width + "".join(f"{name:>{w}}" for name, w in zip(names, widths))]
    for label, row in rows.items():
        lines.append(
            label + " " * (width - columns_of(label)) + "".join(f"{said:>{w}}" for said, w in zip(row, widths))
        )
    return "\n".join(lines)


def cell(value: dict[str, Any] | None, digits: int = 1) -> str:
    """A number with its interval, for a table; nothing for nothing."""
    if value is None:
        return ""
    said = f"{value['mean']:.{digits}f}"
    return said if value.get("low") is None else f"{said} ({value['low']:.{digits}f} to {value['high']:.{digits}f})"


def duration(seconds: float) -> str:
    """A time for people: `12 s`, `3 min 05 s`, `2 h 10 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def figure(value: float) -> str:
    """A count with commas, a measure with three digits, or, where these would be zeros, with a power of ten."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.001 else f"{value:.1e}"


def _links(stages: list[StageSummary], output: Path) -> dict[Path, str]:
    """Where the pages of the stages lie, seen from this one, so that the whole folder can be moved."""
    return {stage.page: Path(os.path.relpath(stage.page, output)).as_posix() for stage in stages if stage.page}


def _columns(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The headlines of an evaluation: name, digits, and by model a mean with its interval."""
    values = evaluation.values
    if evaluation.name == POSITIONS:
        last = _ranges(values)[-1]
        rows = {label: row[last] for label, row in values["loss"].items()}
        return [
            {"name": f"loss at {last}", "digits": 3, "values": {label: _number(row) for label, row in rows.items()}}
        ]
    if evaluation.name == JGLUE:
        return [
            {"name": f"{task.removeprefix('nec13b_')} {found['metrics'][0]} %", "digits": 1,
             "values": {label: _number(row["scores"][found["metrics"][0]]) for label, row in found["models"].items()}}
            for task, found in values["tasks"].items()
        ]  # fmt: skip
    rates = {label: row["win_rate"] for label, row in values["models"].items()}
    spans = {label: rate["bootstrap"] or rate["wilson"] for label, rate in rates.items()}
    shares = {label: {"mean": 100 * rate["value"], "low": 100 * spans[label][0], "high": 100 * spans[label][1]}
              for label, rate in rates.items()}  # fmt: skip
    return [{"name": "Rakuda win rate %", "digits": 1, "values": shares}]


def _ranges(values: dict[str, Any]) -> list[str]:
    """The ranges of positions, `16-32` to the last; short documents, which have no position, left out."""
    return [name for name in next(iter(values["loss"].values())) if name[0].isdigit()]


def _number(row: dict[str, Any]) -> dict[str, float]:
    return {name: row[name] for name in ("mean", "low", "high")}
