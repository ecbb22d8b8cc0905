"""The report on preferences as one HTML page that needs nothing but itself: no script, no font, no network."""

from pathlib import Path
from typing import Any

from .. import html_page
from ..dialogues.dialogue_page import colours_of_sources, columns, reason_bars, without_gaps

TEMPLATE = "preference_page.html.j2"
SIDE_COLOURS = {"prompt": "#1f5fa8", "chosen": "var(--kept)", "rejected": "var(--dropped)"}
# Of the ratio of lengths, from "chosen is much shorter" to "chosen is much longer".
RATIO_COLOURS = ("#8e5bb5", "#a983c8", "#c5aedb", "#9aa7b4", "#e0bb7f", "#cf9a45", "#b9770e")


def write_page(path: Path, report: dict[str, Any]) -> None:
    """Renders the page.

    Args:
        path: the file; replaced only when the new one is whole.
        report: the content of `report.json`.
    """
    ratios = columns(list(report["length_ratios"].items()))
    html_page.write_page(
        path,
        Path(__file__).with_name(TEMPLATE),
        {
            "report": report,
            "colours": colours_of_sources(report),
            "side_colours": SIDE_COLOURS,
            "reasons": reason_bars(report),
            "ratios": [column | {"colour": colour} for column, colour in zip(ratios, RATIO_COLOURS)],
            "lengths": _lengths(report["lengths"]),
            "biases": _biases(report),
            "languages": sorted({name for counts in report["languages"].values() for name in counts}),
        },
    )


def _lengths(lengths: dict[str, dict[str, int]]) -> dict[str, list[dict]]:
    """The histograms of lengths; both answers have the same columns."""
    answers = dict.fromkeys([*lengths["chosen"], *lengths["rejected"]], 0)
    return {
        side: columns(without_gaps(bins if side == "prompt" else answers | bins))
        for side, bins in lengths.items()
        if bins
    }


def _biases(report: dict) -> list[dict[str, Any]]:
    """The length bias of each source, and of all together where there are several."""
    rows = [{"name": row["source"], **row["length_bias"]} for row in report["sources"] if row["length_bias"]["pairs"]]
    return rows if len(rows) < 2 else [*rows, {"name": "", **report["length_bias"]}]
