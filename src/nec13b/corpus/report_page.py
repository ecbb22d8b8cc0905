"""The report of a cleansing as one HTML page that needs nothing but itself: no script, no font, no network."""

from pathlib import Path

from .. import html_page

TEMPLATE = "report_page.html.j2"
COLOURS = {"ja": "#c0392b", "en": "#1f5fa8", "code": "#2e8b57", "unknown": "#8a8f98"}
MORE_COLOURS = ("#8e44ad", "#b9770e", "#117a8b", "#7f5539")
WORDS = {  # what the steps and kept things are called for people
    "broken_encoding": "Broken encoding",
    "empty": "Empty after normalisation",
    "language": "Another language",
    "boilerplate": "Nothing but boilerplate",
    "rules": "Rules",
    "quality": "Learned filter",
    "exact_duplicates": "Exact duplicates",
    "near_duplicates": "Near duplicates",
    "repeated_lines": "Nothing but repeated lines",
    "decontamination": "Evaluation items",
}
MOST_ROWS = 40  # of a table; the rest is in report.json


def write_page(path: Path, report: dict) -> None:
    """Renders the page.

    Args:
        path: the file; replaced only when the new one is whole.
        report: the content of `report.json`.
    """
    colours = _colours(report)
    html_page.write_page(
        path,
        Path(__file__).with_name(TEMPLATE),
        {
            "report": report,
            "colours": colours,
            "funnel": _funnel(report),
            "reasons": _reasons(report),
            "kept": _kept_by_source(report),
            "lengths": _histograms(report["lengths"], colours, _length_label),
            "scores": _histograms(report["scores"], colours, lambda bin: f"{int(bin) / 20:.2f}", bins=range(20)),
            "most_rows": MOST_ROWS,
        },
        words=_words,
    )


def _words(name: str) -> str:
    return WORDS.get(name, name.replace("_", " "))


def _colours(report: dict) -> dict[str, str]:
    domains = sorted(
        {key.split("/")[1] for key in report["lengths"]} | {row["domain"] for row in report["kept"]["parts"]}
    )
    others = [domain for domain in domains if domain not in COLOURS]
    return COLOURS | {domain: MORE_COLOURS[i % len(MORE_COLOURS)] for i, domain in enumerate(others)}


def _funnel(report: dict) -> list[dict]:
    """The bars: what is left after each step and what the step dropped, in per cent of what was read."""
    whole = report["read"]["documents"] or 1
    rows = []
    for row in report["funnel"]:
        if row["documents"]:
            rows.append({**row, "left_width": 100 * row["left"] / whole, "width": 100 * row["documents"] / whole})
    return rows


def _reasons(report: dict) -> list[dict]:
    """Each reason with its documents by domain, the commonest of all steps setting the scale."""
    rows = []
    for step, reasons in report["reasons"].items():
        for reason, by_domain in sorted(reasons.items(), key=lambda item: -sum(item[1].values())):
            rows.append({"step": step, "reason": reason, "by_domain": by_domain, "documents": sum(by_domain.values())})
    largest = max((row["documents"] for row in rows), default=1)
    for row in rows:
        row["widths"] = {domain: 100 * count / largest for domain, count in sorted(row["by_domain"].items())}
    return rows


def _kept_by_source(report: dict) -> list[dict]:
    sources: dict[tuple[str, str], dict] = {}
    for part in report["kept"]["parts"]:
        row = sources.setdefault(
            (part["domain"], part["source"]),
            {"domain": part["domain"], "source": part["source"], "documents": 0, "characters": 0, "tokens": 0,
             "held_out": 0, "long": 0},
        )  # fmt: skip
        for name in ("documents", "characters", "tokens"):
            row[name] += part[name]
        row["held_out"] += part["documents"] if part["split"] == "held_out" else 0
        row["long"] += part["documents"] if part["length"] == "long" else 0
    return [sources[key] for key in sorted(sources)]


def _length_label(bin: str) -> str:
    length = int(bin)
    return f"{length}" if length < 1024 else f"{length // 1024}k" if length < 1 << 20 else f"{length >> 20}M"


def _histograms(values: dict, colours: dict, label, bins=None) -> list[dict]:
    """For each domain the columns of what was kept and rejected, as shares of all its documents."""
    domains = sorted({key.split("/")[1] for key in values})
    plots = []
    for domain in domains:
        kept, rejected = (values.get(f"{side}/{domain}", {}) for side in ("kept", "rejected"))
        present = sorted({int(bin) for bin in (*kept, *rejected)})
        if bins is not None:
            present = list(bins)
        elif present:  # powers of two, without gaps
            present = [1 << power for power in range(present[0].bit_length() - 1, present[-1].bit_length())]
        columns = [
            {"label": label(str(bin)), "kept": kept.get(str(bin), 0), "rejected": rejected.get(str(bin), 0)}
            for bin in present
        ]
        largest = max((column["kept"] + column["rejected"] for column in columns), default=0) or 1
        for column in columns:
            column["kept_height"] = 100 * column["kept"] / largest
            column["rejected_height"] = 100 * column["rejected"] / largest
        plots.append(
            {
                "domain": domain,
                "columns": columns,
                "colour": colours.get(domain, colours["unknown"]),
                "largest": largest,
            }
        )
    return plots
