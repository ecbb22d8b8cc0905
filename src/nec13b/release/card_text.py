"""What the card of a model and that of a data set have in common."""

from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError, one_line
from .hub_push import is_local


def read_limits(path: str) -> str:
    """The text on limits and intended use, of a file that whoever publishes has written; empty where none is named.

    Raises:
        InputError: the file is not there or is no text.
    """
    try:
        return Path(path).read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"limits: cannot read {path}: {one_line(error)}") from None


def repository_on_card(push_to: str, output_dir: str, part: str) -> str:
    """The place that a card's examples load from: a name on the Hub, or the last folders without the machine's path."""
    on_hub = bool(push_to) and not is_local(push_to)
    return push_to if on_hub else f"{Path(output_dir).resolve().name}/{part}"


def limits_section(limits: str, licence: str, unsaid: str, unlicensed: str) -> Iterator[str]:
    """The section on limits; `unsaid` and `unlicensed` stand where nobody has said anything."""
    yield "## Limits"
    yield limits.strip() or unsaid
    if not licence:
        yield unlicensed
