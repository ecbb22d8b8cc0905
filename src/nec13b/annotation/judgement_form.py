"""What comes from the page's form, and why it may be no judgement."""

from collections.abc import Mapping
from typing import Any

MOST_CHARACTERS = 100_000  # of an edit or a comment


class UnusableForm(ValueError):
    """What came from the page is no judgement; the message is a key of the interface's texts."""


def written(form: Mapping[str, Any], name: str) -> str:
    """A field that somebody wrote, with plain line ends; raises UnusableForm where it is too long."""
    text = str(form.get(name, "")).replace("\r\n", "\n")
    if len(text) > MOST_CHARACTERS:
        raise UnusableForm("too_long")
    return text if text.strip() else ""
