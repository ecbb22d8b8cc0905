"""RESULTS.md, a section a benchmark: each writes its own and leaves the others as they are."""

import os
import platform
import re
from pathlib import Path

PATH = Path(__file__).parent / "RESULTS.md"
HEAD = "# Results\n\nWritten by the benchmarks themselves; each section names its command.\n"


def write_section(title: str, body: str, path: Path = PATH) -> None:
    """Puts a section in its place, or at the end, and prints it.

    Args:
        title: the heading, by which it is found again.
        body: Markdown without the heading.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else HEAD
    section = f"## {title}\n\n{body.strip()}\n"
    pattern = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if pattern.search(text):
        text = pattern.sub(lambda _: section + "\n", text).rstrip("\n") + "\n"
    else:
        text = text.rstrip("\n") + "\n\n" + section
    path.write_text(text, encoding="utf-8")
    print(section)


def machine() -> str:
    """Cores, architecture and Python of this machine, for people."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
