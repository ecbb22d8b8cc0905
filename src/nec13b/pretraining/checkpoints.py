"""Which checkpoints can be trusted: those that were finished, are still whole and belong to the same run.

A checkpoint counts once `complete.json` lies in it, written after everything else, with the size of every file. A run
that was killed while saving leaves a folder without it; a file cut short later no longer fits it. Both are passed over
with a word of why, and the run goes on from the last checkpoint that is whole.
"""

import re
import shutil
from pathlib import Path

from ..errors import InputError
from ..run_record import RECORD_NAME, read_json, write_json

MARKER_NAME = "complete.json"


def mark_complete(checkpoint: Path, step: int, decisive: dict) -> None:
    """Declares a checkpoint whole. `decisive` are the settings that fix the trajectory of the loss."""
    sizes = {
        path.relative_to(checkpoint).as_posix(): path.stat().st_size
        for path in sorted(checkpoint.rglob("*"))
        if path.is_file() and path.name != MARKER_NAME
    }
    write_json(checkpoint / MARKER_NAME, {"step": step, "files": sizes, "decisive": decisive})


def reason_not_whole(checkpoint: Path) -> str | None:
    """Why a checkpoint cannot be used, or None where it can."""
    marker = checkpoint / MARKER_NAME
    if not marker.is_file():
        return "it was not finished"
    for name, size in read_json(marker, "recipes/pretrain.py")["files"].items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size:,} bytes instead of {size:,}"
    return None


def all_checkpoints(output_dir: Path) -> list[tuple[int, Path]]:
    """(step, folder) of every checkpoint, whole or not, in order of steps."""
    found = []
    for path in output_dir.glob("checkpoint-*"):
        match = re.fullmatch(r"checkpoint-(\d+)", path.name)
        if match and path.is_dir():
            found.append((int(match[1]), path))
    return sorted(found)


def retire_checkpoints(output_dir: Path, limit: int | None, keep_every_steps: int) -> None:
    """Removes what is no longer needed once a new checkpoint is whole.

    Args:
        output_dir: the run's folder.
        limit: how many of the newest whole checkpoints stay; None keeps all.
        keep_every_steps: those at multiples of it stay for good; 0 for none.
    """
    checkpoints = all_checkpoints(output_dir)
    whole = [(step, path) for step, path in checkpoints if (path / MARKER_NAME).is_file()]
    if not whole:
        return
    for step, path in checkpoints:
        if (step, path) not in whole and step < whole[-1][0]:
            shutil.rmtree(path, ignore_errors=True)  # a killed run left it half-written
    for step, path in whole[:-limit] if limit and limit > 0 else []:
        if not keep_every_steps or step % keep_every_steps:
            # The marker goes first, so that a removal that is cut short leaves nothing that looks whole.
            (path / MARKER_NAME).unlink(missing_ok=True)
            shutil.rmtree(path, ignore_errors=True)


def last_whole_checkpoint(output_dir: Path) -> tuple[Path | None, list[str]]:
    """(the newest whole checkpoint or None, one line for every newer one that was passed over)."""
    passed_over = []
    for _, path in reversed(all_checkpoints(output_dir)):
        reason = reason_not_whole(path)
        if reason is None:
            return path, passed_over
        passed_over.append(f"{path} is passed over: {reason}")
    return None, passed_over


def checkpoint_to_resume(output_dir: Path, wanted: str | None, decisive: dict) -> tuple[Path | None, list[str]]:
    """(the checkpoint that a run goes on from or None, one line for every newer one that was passed over).

    Args:
        output_dir: the run's folder.
        wanted: a checkpoint that the user asks for; None takes the newest whole one.
        decisive: the settings that fix the trajectory of the loss, as `mark_complete` stored them.

    Raises:
        InputError: the wanted checkpoint is not whole, or it was made under other settings.
    """
    if wanted:
        checkpoint, passed_over = Path(wanted), []
        reason = reason_not_whole(checkpoint) if checkpoint.is_dir() else "it does not exist"
        if reason:
            raise InputError(f"cannot go on from {checkpoint}: {reason}; without the flag the last whole one is taken")
    else:
        checkpoint, passed_over = last_whole_checkpoint(output_dir)
    if checkpoint:
        check_same_run(checkpoint, decisive)
    return checkpoint, passed_over


def is_finished(output_dir: Path, checkpoint: Path | None, max_steps: int) -> bool:
    """Whether the run in a folder has nothing left to do: last step, model and record are all there."""
    done = (output_dir / "model" / "config.json").is_file() and (output_dir / RECORD_NAME).is_file()
    return done and checkpoint is not None and checkpoint.name == f"checkpoint-{max_steps}"


def check_same_run(checkpoint: Path, decisive: dict) -> None:
    """Refuses to go on from a checkpoint whose trajectory was fixed by other settings.

    Raises:
        InputError: naming the first setting that differs, with both values.
    """
    saved = read_json(checkpoint / MARKER_NAME, "recipes/pretrain.py")["decisive"]
    for name in decisive:
        if saved.get(name) != decisive[name]:
            raise InputError(
                f"{checkpoint} was made with {name} = {saved.get(name)}, now it is {decisive[name]}; choose another "
                "--output_dir, or throw the old run away with --overwrite_output_dir"
            )
