"""A table in Markdown, as the cards have it."""


def markdown_table(columns: list[str], rows: list[list[str]]) -> str:
    """A table.

    Args:
        columns: its head.
        rows: a cell a column; a bar or a line break within a cell does no harm.
    """
    lines = [f"| {' | '.join(columns)} |", f"| {' | '.join('---' for _ in columns)} |"]
    return "\n".join([*lines, *(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)])


def _cell(value: str) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
