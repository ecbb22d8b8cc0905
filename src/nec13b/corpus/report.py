"""The report of a cleansing: its numbers as JSON, the mixture that follows from them, and the page that shows both."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from ..run_record import read_json, write_json
from .cleaning_config import CleanCorpusConfig
from .decontamination import ItemIndex
from .mixture import FORMAT as MIXTURE_FORMAT
from .mixture import plan_mixture
from .report_page import write_page
from .sources import CLEAN_MARK_NAME
from .tally import Tally, merge_tallies

FORMAT = "nec13b-cleaning-1"
REPORT_NAME = "report.json"


class WriteReport(PipelineStep):
    """Adds up the tallies and writes `report.json`, `report.html` and, last of all, `mixture.json`. One task.

    Args:
        output: the folder of the run.
        work: the folder of what lies between the stages, with `tallies/` in it; removed in the end, unless it is to
        stay.
        config: the settings.
        steps: the filters in their order.
        thresholds: the threshold of each domain's classifier.
        items: the evaluation items that were looked for, if any were.
    """

    type = "📊 - STATS"
    name = "report"

    def __init__(
        self,
        output: Path,
        work: Path,
        config: CleanCorpusConfig,
        steps: Sequence[str],
        thresholds: dict[str, float],
        items: ItemIndex | None,
    ):
        super().__init__()
        self.output, self.work, self.config = output, work, config
        self.steps, self.thresholds, self.items = steps, thresholds, items

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> None:
        tally = merge_tallies(self.work / "tallies")
        report = report_of(tally, self.steps, self.thresholds, self.items)
        _write(self.output, report | {"mixture": mixture_of(report["kept"]["parts"], self.config)})
        if not self.config.keep_work:
            shutil.rmtree(self.work, ignore_errors=True)


def _write(output: Path, report: dict) -> None:
    write_json(output / REPORT_NAME, report)
    write_page(output / "report.html", report)
    # The mark of a cleansing that has ended, so it comes last.
    write_json(output / CLEAN_MARK_NAME, report["mixture"])


def report_with_mixture(output: Path, config: CleanCorpusConfig) -> dict:
    """The report of a cleansing that has ended; where its mixture is not the wanted one, it is planned anew."""
    report = read_json(output / REPORT_NAME, "recipes/clean_corpus.py")
    wanted = json.loads(json.dumps(mixture_of(report["kept"]["parts"], config)))
    if wanted != report["mixture"] or wanted != read_json(output / CLEAN_MARK_NAME, "recipes/clean_corpus.py"):
        report["mixture"] = wanted
        _write(output, report)
    return report


def mixture_of(parts: list[dict], config: CleanCorpusConfig) -> dict:
    """The mixture that the kept training documents allow, in JSON's types; without sources where there are none.

    Args:
        parts: `kept.parts` of the report.
        config: the settings.
    """
    tokens: dict[tuple[str, str], int] = {}
    for part in parts:
        if part["split"] == "train":
            key = part["domain"], part["source"]
            tokens[key] = tokens.get(key, 0) + part["tokens"]
    if not any(count for (domain, _), count in tokens.items() if domain in config.proportions):
        return {"format": MIXTURE_FORMAT, "proportions": {}, "most_passes": {}, "sources": []}
    present = {source for _, source in tokens}
    weights = {source: weight for source, weight in config.source_weights.items() if source in present}
    return plan_mixture(tokens, config.proportions, config.train_tokens, weights, config.max_epochs).to_json()


def report_of(tally: Tally, steps: Sequence[str], thresholds: dict[str, float], items: ItemIndex | None) -> dict:
    """Everything that the page shows but the mixture, in JSON's types.

    Returns:
        `read`, `unreadable`, `funnel` (what each step dropped and left), `reasons`, `kept`, `changed`, `lengths`,
        `scores`, `thresholds`, `kinds`, `languages`, `items`, `items_looked_for`, `licences`, `examples`.
    """
    read = {"documents": int(tally.total("read", "documents")), "characters": int(tally.total("read", "characters"))}
    dropped: dict[str, dict] = {step: {"documents": 0, "characters": 0, "reasons": {}} for step in steps}
    for (step, reason, domain), values in tally.under("rejected"):
        row = dropped[step]
        row["documents"] += values["documents"]
        row["characters"] += values["characters"]
        by_domain = row["reasons"].setdefault(reason, {})
        by_domain[domain] = by_domain.get(domain, 0) + values["documents"]
    kept = [
        {"domain": domain, "source": source, "split": split, "length": length, **values}
        for (domain, source, split, length), values in tally.under("kept")
    ]
    kept_characters = sum(row["characters"] for row in kept)
    left = {"documents": sum(row["documents"] for row in kept), "characters": kept_characters}
    funnel = []
    for step in reversed(steps):  # what a step leaves is what is kept and what later steps drop
        row = {key: dropped[step][key] for key in ("documents", "characters")}
        funnel.insert(0, {"step": step, **row, "left": left["documents"], "left_characters": left["characters"]})
        left = {key: left[key] + row[key] for key in left}
    return {
        "format": FORMAT,
        "read": read | {"sources": {source[0]: dict(values) for source, values in tally.under("read")}},
        "unreadable": {reason[0]: values["documents"] for reason, values in tally.under("unreadable")},
        "funnel": funnel,
        "reasons": {step: dropped[step]["reasons"] for step in steps if dropped[step]["reasons"]},
        "kept": {
            "documents": sum(row["documents"] for row in kept),
            "characters": kept_characters,
            "tokens": sum(row["tokens"] for row in kept),
            # What normalising, cutting and masking took from documents that were kept or dropped.
            "characters_cut": read["characters"] - left["characters"],
            "parts": kept,
        },
        "changed": {name[0]: dict(values) for name, values in tally.under("changed")},
        "lengths": {"/".join(name): _by_number(values) for name, values in tally.under("lengths")},
        "scores": {"/".join(name): _by_number(values) for name, values in tally.under("scores")},
        "thresholds": thresholds,
        "kinds": {name[0]: dict(values) for name, values in tally.under("kinds")},
        "languages": _by_count({name[0]: values["documents"] for name, values in tally.under("languages")}),
        "items": _by_count({name[0]: values["documents"] for name, values in tally.under("items")}),
        "items_looked_for": {"searchable": len(items.items), "too_short": len(items.not_checked)} if items else {},
        "licences": _by_count({name[0]: values["documents"] for name, values in tally.under("licences")}),
        "examples": dict(sorted(tally.examples.items())),
    }


def _by_number(values: dict) -> dict:
    return {key: values[key] for key in sorted(values, key=int)}


def _by_count(values: dict) -> dict:
    return dict(sorted(values.items(), key=lambda item: (-item[1], item[0])))
