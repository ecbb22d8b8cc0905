"""What every stage leaves behind: `run.json`, written to a temporary name and renamed when whole.

It answers, years later, what was run (resolved config, seed, git commit, versions, machine), on what (fingerprints of
the inputs) and with what result (counts, timings, metrics). Secrets have no place in it: keys that hold tokens are
left out.
"""

import contextlib
import dataclasses
import enum
import fcntl
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from .errors import InputError
from .whole_files import whole_file

RECORD_NAME = "run.json"
MADE_NAME = "made_from.json"
LOCK_NAME = ".lock"
UNFINISHED = {"unfinished": True}
SECONDS_FOR_OLD_WORKERS = 10
PACKAGES = (
    "torch", "transformers", "accelerate", "datasets", "tokenizers", "trl", "peft",
    "datatrove", "trafilatura", "fasttext-numpy2", "py3langid",
)  # fmt: skip
SECRET_WORDS = {"token", "secret", "password", "key"}


class RunRecord:
    """The record of one stage, filled while it runs.

    Args:
        stage: the recipe's name, `pretrain`.
        config: the resolved config, a dataclass.
        seed: the seed that decides the result.
    """

    def __init__(self, stage: str, config: Any, seed: int | None = None):
        self._start = time.monotonic()
        self.values: dict[str, Any] = {
            "stage": stage,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "config": _plain(config),
            "seed": seed,
            "versions": _versions(),
            "git_commit": _git_commit(),
            "machine": {"platform": platform.platform(), "cpus": os.cpu_count()},
            "inputs": {},
            "counts": {},
            "timings_seconds": {},
            "metrics": {},
        }

    def update(self, section: str, **values: Any) -> None:
        """Adds values to `inputs`, `counts`, `timings_seconds`, `metrics` or a section of the stage's own."""
        self.values.setdefault(section, {}).update(values)

    def elapsed(self) -> float:
        """Seconds since the record was begun."""
        return round(time.monotonic() - self._start, 2)

    def write(self, folder: str | os.PathLike) -> Path:
        """Writes `folder/run.json` and returns its path."""
        self.values["timings_seconds"]["total"] = self.elapsed()
        return write_json(Path(folder) / RECORD_NAME, _plain(self.values))


def write_json(path: Path, value: Any) -> Path:
    """Writes JSON so that the path holds either the old content or the new, never half."""
    with whole_file(path) as building:
        building.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def claim_made_dir(
    folder: Path, request: Any, overwrite: bool, ignored: tuple[str, ...] = ()
) -> tuple[Path, Any] | None:
    """Makes sure that a stage may write into a folder: a new or empty one, or, if so wanted, that of an earlier run.

    A stage that makes its artifact in one go writes the note that is returned when the artifact is whole; the next call
    with the same request then has nothing to do. Until then the note says that the folder is unfinished.

    Args:
        folder: the folder.
        request: what decides the artifact, settings and inputs.
        overwrite: write even where the folder holds another artifact of the stage.
        ignored: settings that do not change the artifact.

    Returns:
        The arguments of `write_json` for the note; None where the folder holds what is asked for.

    Raises:
        InputError: the folder holds something else.
    """
    note, wanted = folder / MADE_NAME, json.loads(json.dumps(_plain(request)))
    for name in ("output_dir", "overwrite_output_dir", *ignored):
        wanted.get("settings", {}).pop(name, None)
    if note.is_file() and not overwrite:
        made = read_json(note, "the recipe that wrote the folder")
        if made == wanted:
            return None
        if made != UNFINISHED:
            raise InputError(
                f"{folder} was made of another corpus or with other settings; choose another --output_dir, or replace "
                "it with --overwrite_output_dir"
            )
    if folder.is_dir() and any(folder.iterdir()) and not note.is_file():
        raise InputError(f"{folder} holds files that are not of this recipe; choose another --output_dir")
    write_json(note, UNFINISHED)
    return note, wanted


@contextlib.contextmanager
def alone_in(output: Path) -> Iterator[None]:
    """Keeps other runs out of a folder. Workers that outlive their run keep it, too, until they end.

    Where the user is mistaken, the folder is left as it was found.

    Raises:
        InputError: another run is at work there.
    """
    path = output / LOCK_NAME
    folder_is_new, lock_is_new = not output.exists(), not path.exists()
    output.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for second in range(SECONDS_FOR_OLD_WORKERS + 1):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if second == SECONDS_FOR_OLD_WORKERS:
                    raise InputError(f"another run is at work in {output}; wait for it, or stop it") from None
                time.sleep(1)
            except OSError:  # a file system without locks
                break
        try:
            yield
        except InputError:
            if lock_is_new:
                path.unlink()
            if folder_is_new and not any(output.iterdir()):
                output.rmdir()
            raise


def read_json(path: Path, made_by: str) -> dict:
    """Reads a JSON object that a stage has written; raises InputError naming the recipe that makes it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {made_by} makes it") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); make it again with {made_by}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} does not hold a JSON object; make it again with {made_by}")
    return value


def digest_of_value(value: Any) -> str:
    """SHA-256 of a value as JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def fingerprint_of_file(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's bytes, `sha256:...`."""
    with open(path, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    """The value in JSON's types; keys that may hold secrets are left out."""
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.repr]
        value = {name: getattr(value, name, None) for name in names}
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items() if not _is_secret(str(k), v)}
    if isinstance(value, (list, tuple, set)):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def _is_secret(key: str, value: Any) -> bool:
    # Numbers are counts ("tokens_per_batch"); a secret is a string.
    return isinstance(value, str) and not SECRET_WORDS.isdisjoint(key.lower().split("_"))


def _versions() -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    try:
        versions["nec13b"] = metadata.version("nec13b")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        versions["nec13b"] = "source"
    return versions


def _git_commit() -> str | None:
    """The commit of the checkout this package lies in, with `+changes` where files differ from it."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "-C", str(here), "status", "--porcelain", "--untracked-files=no"],
            capture_output=True, text=True, timeout=10, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+changes" if changed else "")
