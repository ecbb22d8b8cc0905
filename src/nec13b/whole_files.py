"""Files and folders that are never half-written: filled under another name, and renamed when they are whole."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a path beside `path` to write to; what is there at the end takes the place of `path`.

    Where the body raises, nothing is left of it, and `path` is what it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Processes that write the same file must not write over one another.
    building = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield building
        with building.open("rb") as file:
            os.fsync(file.fileno())  # else a power cut may leave the new name and not the content
        os.replace(building, path)
    finally:
        building.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(folder: str | os.PathLike) -> Iterator[Path]:
    """Gives an empty folder to fill beside `folder`, which it replaces at the end.

    Where the body raises, nothing is left of it. What a killed process leaves behind, as `.<name>.tmp`, the next one
    removes; so one process at a time may write a folder.
    """
    folder = Path(folder)
    building = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        yield building
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def write_json_lines(path: Path, rows: Iterable[Any]) -> int:
    """Writes a row a line, and returns how many."""
    written = 0
    with whole_file(path) as building, building.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            written += 1
    return written


def write_figure(path: Path, figure: Any) -> Path:
    """Writes a figure of matplotlib as PNG, with no need of a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with whole_file(path) as building:
        FigureCanvasAgg(figure).print_png(building)
    return path
