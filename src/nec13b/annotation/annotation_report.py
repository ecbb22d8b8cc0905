"""The report on a campaign: how far it is, how far people agree, how each of them judges, and what comes of it."""

from collections import Counter
from pathlib import Path
from typing import Any

from .. import html_page
from ..preferences.adjudication import AdjudicationRule
from ..preferences.judgement import REASONS, VERDICTS
from ..run_record import write_json
from .agreement import alphas_of, kappas_of
from .annotator_figures import annotator_figures
from .campaign import Campaign
from .campaign_log import LATE, UNDONE
from .export_formats import adjudication_of, pairs_and_judgements
from .pair_questions import right_answer

PAGE_NAME, REPORT_NAME = "report.html", "report.json"
TEMPLATE = "annotation_report.html.j2"


def annotation_report(campaign: Campaign, rule: AdjudicationRule) -> dict[str, Any]:
    """The figures of a campaign of pairs, which may be under way; planted checks count in `annotators` alone."""
    pairs, judgements = pairs_and_judgements(campaign)
    checks = {pair.id for pair in pairs if right_answer(pair)}
    ordinary = [each for each in judgements if each.pair not in checks]
    judged, wanted = campaign.judged_and_wanted()
    adjudication = adjudication_of(pairs, judgements, rule)
    by_pair = Counter(each.pair for each in ordinary if each.verdict != "skipped")
    return {
        "pairs": len(pairs) - len(checks),
        "checks": len(checks),
        "judged": judged,
        "wanted": wanted,
        "judgements_per_pair": campaign.judgements_per_task,
        "complete_pairs": sum(count >= campaign.judgements_per_task for count in by_pair.values()),
        "verdicts": _counted((each.verdict for each in ordinary), VERDICTS),
        "reasons": _counted((reason for each in ordinary for reason in each.reasons), REASONS),
        "edited": sum(bool(each.edited) for each in ordinary),
        "preferences": len(adjudication.preferences),
        "strengths": dict(Counter(each.strength for each in adjudication.preferences)),
        "undecided": dict(Counter(each.reason for each in adjudication.undecided)),
        "alpha": alphas_of(ordinary),
        "kappas": kappas_of(ordinary),
        "annotators": annotator_figures(
            pairs, judgements, campaign.counts_by_annotator(UNDONE), campaign.counts_by_annotator(LATE)
        ),
    }


def write_report(folder: Path, report: dict[str, Any]) -> Path:
    """Writes `report.json` and the page; returns the page's path."""
    write_json(folder / REPORT_NAME, report)
    values = {
        "report": report,
        "outcomes": {"preference": report["preferences"], **report["undecided"]},
        "longest": max((row["judged"] for row in report["annotators"]), default=0) or 1,
    }
    html_page.write_page(
        folder / PAGE_NAME, Path(__file__).with_name(TEMPLATE), values, share=_share, words=_words, line=_line
    )
    return folder / PAGE_NAME


def review_figures(campaign: Campaign) -> dict[str, Any]:
    """How many dialogues were accepted, edited, rejected or skipped, by reviewer, and how many await review."""
    by_reviewer: dict[str, Counter] = {}
    for each in campaign.judgements():
        by_reviewer.setdefault(each.annotator, Counter())[each.content["decision"]] += 1
    judged, wanted = campaign.judged_and_wanted()
    return {"waiting": wanted - judged, "by_reviewer": {name: dict(counts) for name, counts in by_reviewer.items()}}


def _counted(values, known: tuple[str, ...]) -> dict[str, int]:
    counts = Counter(values)
    return {name: counts[name] for name in known}


def _share(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}%}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _line(values: list[float | None], top: float) -> str:
    """The points of a line over the parts of somebody's work, in a box of 100 by 40."""
    step = 100 / max(len(values) - 1, 1)
    return " ".join(f"{i * step:.1f},{38 - 36 * min(v / top, 1):.1f}" for i, v in enumerate(values) if v is not None)
