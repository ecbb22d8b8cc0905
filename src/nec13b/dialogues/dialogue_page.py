"""The report on dialogues as one HTML page that needs nothing but itself: no script, no font, no network."""

from pathlib import Path
from typing import Any

from .. import html_page

TEMPLATE = "dialogue_page.html.j2"
MOST_EXCHANGES = 12  # columns of the histogram; longer dialogues stand together in the last
COLOURS = ("#1f5fa8", "#2e8b57", "#b9770e", "#8e44ad", "#117a8b", "#7f5539", "#c0392b", "#5d6b7a")


def write_page(path: Path, report: dict[str, Any]) -> None:
    """Renders the page.

    Args:
        path: the file; replaced only when the new one is whole.
        report: the content of `report.json`.
    """
    html_page.write_page(
        path,
        Path(__file__).with_name(TEMPLATE),
        {
            "report": report,
            "colours": colours_of_sources(report),
            "reasons": reason_bars(report),
            "exchanges": columns(_few(report["exchanges"])),
            "lengths": {role: columns(without_gaps(bins)) for role, bins in report["lengths"].items() if bins},
            "openings": [(role, rows, rows[0][1]) for role, rows in report["openings"].items() if rows],
        },
    )


def colours_of_sources(report: dict) -> dict[str, str]:
    """A colour for each source of a report, and a grey for what belongs to none."""
    labels = [row["source"] for row in report["sources"]]
    return {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(labels)} | {"": "#8a8f98"}


def reason_bars(report: dict) -> list[dict]:
    """Each reason with its cases by source, the commonest setting the scale."""
    rows = [
        {"reason": reason, "by_source": by_source, "cases": sum(by_source.values())}
        for reason, by_source in report["reasons"].items()
    ]
    largest = max((row["cases"] for row in rows), default=1)
    for row in rows:
        row["widths"] = {label: 100 * count / largest for label, count in row["by_source"].items()}
    return rows


def _few(exchanges: dict[str, int]) -> list[tuple[str, int]]:
    """Dialogues by their number of exchanges, the long ones in one column."""
    longest = max(map(int, exchanges), default=0)
    columns = [(str(n), exchanges.get(str(n), 0)) for n in range(1, min(longest, MOST_EXCHANGES) + 1)]
    if longest > MOST_EXCHANGES:
        rest = sum(count for n, count in exchanges.items() if int(n) >= MOST_EXCHANGES)
        columns[-1] = (f"{MOST_EXCHANGES}+", rest)
    return columns


def without_gaps(bins: dict[str, int]) -> list[tuple[str, int]]:
    """Messages by length, a column for each power of two from the shortest to the longest."""
    powers = [int(length).bit_length() for length in bins]
    lengths = [1 << (power - 1) if power else 0 for power in range(min(powers), max(powers) + 1)]
    return [(f"{n // 1024}k" if n >= 1024 else str(n), bins.get(str(n), 0)) for n in lengths]


def columns(counts: list[tuple[str, int]]) -> list[dict]:
    """The columns of a histogram, the highest being 100 high."""
    largest = max((count for _, count in counts), default=0) or 1
    return [{"label": label, "count": count, "height": 100 * count / largest} for label, count in counts]
