"""Reports as one HTML page that needs nothing but itself: no script, no font, no network."""

import functools
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .whole_files import whole_file


def write_page(path: Path, template: Path, values: dict[str, Any], **filters) -> None:
    """Renders a page.

    Args:
        path: the file; replaced only when the new one is whole.
        template: Jinja; it may include `report_style.css`.
        values: what it shows, escaped.
        filters: for the template, beside `n` (a number with commas), `percent` and `visible`.
    """
    environment = _environment(template.parent)
    environment.filters |= {"n": number, "percent": percent, "visible": visible, **filters}
    page = environment.get_template(template.name).render(**values)
    with whole_file(path) as building:
        building.write_text(page, encoding="utf-8")


@functools.cache
def _environment(folder: Path) -> Environment:
    """Keeps what it has compiled, for reports of many pages."""
    return Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def number(value: float) -> str:
    return f"{value:,.0f}"


def percent(part: float, whole: float) -> str:
    share = part / whole if whole else 0
    return f"{share:.1%}" if 0.0005 <= share <= 0.9995 or share in (0, 1) else f"{share:.3%}"


def visible(text: str) -> str:
    """Control characters as their pictures, so that a page shows what is there."""
    return "".join(chr(0x2400 + ord(c)) if ord(c) < 32 and c not in "\n\t" else c for c in text)
