"""The evaluations of the exported model, for its card: which folders hold its numbers, and under which label.

A folder of jglue.py, rakuda_judge.py, rakuda_report.py, side_by_side.py or loss_by_position.py holds the numbers of
several models; its record says which label is which checkpoint, by path and by a fingerprint of the weights. Only the
exported model's own numbers go into the card, and a folder in which these weights were not measured is refused.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checkpoint_fingerprint import fingerprint_of_checkpoint
from ..errors import InputError
from ..run_record import RECORD_NAME, fingerprint_of_file, read_json
from .evaluation_tables import STATEMENTS, Measured, Statement

# By stage: the command, its file of results, and the key under which that has the labels.
COMMANDS = {
    "jglue": ("evaluation/jglue.py", "jglue.json", "tasks"),
    "rakuda_judge": ("evaluation/rakuda_judge.py", "rakuda.json", "models"),
    "rakuda_report": ("evaluation/rakuda_report.py", "rakuda.json", "models"),
    "side_by_side": ("evaluation/side_by_side.py", "report.json", "models"),
    "loss_by_position": ("evaluation/loss_by_position.py", "loss_by_position.json", "loss"),
}
SCRIPTS = ", ".join(script for script, *_ in COMMANDS.values())


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the model.

    Attributes:
        statement: what it says.
        note: when and by what it was measured, and what had to be taken on trust.
        digest: of its record and its results.
    """

    statement: Statement
    note: str
    digest: str


def read_evaluations(entries: list[str], model: str) -> list[Evaluation]:
    """The evaluations of a model.

    Args:
        entries: folders; `folder,label=NAME` where the record knows the model only by the name that a server gave it.
        model: as the export names it: folder, adapter, Hub name or .gguf file.

    Raises:
        InputError: a folder holds no results, none of this model, or those of other weights.
    """
    fingerprint = fingerprint_of_checkpoint(model) if entries else ""
    return [_evaluation(entry, model, fingerprint) for entry in entries]


def _evaluation(entry: str, model: str, fingerprint: str) -> Evaluation:
    place, comma, option = entry.partition(",")
    stated = option.removeprefix("label=")
    if comma and (not option.startswith("label=") or not stated):
        raise InputError(f"evaluations entry {entry!r}: {option!r} is not label=NAME")
    folder = Path(place).expanduser()
    if not (folder / RECORD_NAME).is_file():
        raise InputError(f"evaluations: {folder} holds no {RECORD_NAME}; {SCRIPTS} leave one")
    record = read_json(folder / RECORD_NAME, "the evaluation")
    stage = record.get("stage")
    if stage not in COMMANDS:
        raise InputError(f"evaluations: {folder} is a folder of {stage!r}; the card reports on {SCRIPTS}")
    script, name, key = COMMANDS[stage]
    values = read_json(folder / name, script)
    try:
        measured = _labels(values[key], stage)
        checkpoints = _checkpoints(record)
        label, trusted = _label_of_model(measured, checkpoints, model, fingerprint, stated)
        statement = STATEMENTS[stage](Measured(record, values, label))
    except InputError as error:
        raise InputError(f"evaluations: {folder}: {error}; run {script} on {model}, or leave the folder out") from None
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, StopIteration):
        raise InputError(f"evaluations: {folder} holds results of another version of {script}; run it again") from None
    day, commit = str(record.get("started", ""))[:10], str(record.get("git_commit") or "unknown")[:12]
    note = f"Measured by `{script}` on {day}, commit `{commit}`." + (f" {trusted}" if trusted else "")
    digest = " ".join(fingerprint_of_file(folder / each) for each in (RECORD_NAME, name))
    return Evaluation(statement, note, digest)


def _labels(values: dict[str, Any], stage: str) -> list[str]:
    """The models in a file of results; of JGLUE, those that every task has."""
    if stage != "jglue":
        return list(values)
    first, *others = [task["models"] for task in values.values()]
    return [label for label in first if all(label in models for models in others)]


def _checkpoints(record: dict[str, Any]) -> dict[str, list[list[str]]]:
    """By label, (path, fingerprint) of each checkpoint that the record names for it; under the names of the results."""
    labels = record["config"].get("labels") or {}
    found = {}
    for label, said in record["inputs"].get("models", {}).items():
        found[labels.get(label, label)] = said if isinstance(said[0], list) else [said]
    return found


def _label_of_model(
    measured: list[str], checkpoints: dict[str, list[list[str]]], model: str, fingerprint: str, stated: str
) -> tuple[str, str]:
    """The label of the model, and a sentence where that is not known but was stated; raises InputError."""
    if stated:
        if stated not in measured:
            raise InputError(f"no results of {stated!r} are in it, but of {', '.join(measured)}")
        known = checkpoints.get(stated, [])
        if all(_is_same(said, model, fingerprint) for said in known) and known:
            return stated, ""
        if any(weights for _, weights in known):
            raise InputError(f"{stated!r} was measured with other weights than {model} has ({_said(known)})")
        return stated, (
            f"Its record knows the model only as `{stated}`, as a server named it; that it ran these weights was said "
            "by those who exported the model."
        )
    if not checkpoints:
        raise InputError("its record does not say which weights were measured")
    for label in measured:
        known = checkpoints.get(label, [])
        same = [_is_same(said, model, fingerprint) for said in known]
        if any(same) and len(same) > 1:
            raise InputError(f"{label!r} stands for {len(same)} checkpoints together, not for {model} alone")
        if any(same):
            return label, ""
    for label, known in checkpoints.items():
        if any(_is_same_place(path, model) for path, _ in known):
            raise InputError(f"{label!r} was measured with other weights than {model} has now")
    raise InputError(
        "its record names other models, "
        + ", ".join(f"{label} ({_said(known)})" for label, known in checkpoints.items())
        + f", and not {model}"
    )


def _is_same(said: list[str], model: str, fingerprint: str) -> bool:
    """Whether a record speaks of the model: by its weights where both are known, else by its place."""
    path, known = said
    return known == fingerprint if known and fingerprint else _is_same_place(path, model)


def _is_same_place(path: str, model: str) -> bool:
    return path == model or Path(path).expanduser().resolve() == Path(model).expanduser().resolve()


def _said(checkpoints: list[list[str]]) -> str:
    return ", ".join(path for path, _ in checkpoints)
