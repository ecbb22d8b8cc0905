"""The report of a cleansing: its numbers as JSON, the mixture that follows from them, and the page that shows both."""

import shutil
from pathlib import Path

from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from ..run_record import write_json
from .cleaning_config import CleanCorpusConfig
from .mixture import Mixture, plan_mixture
from .report_page import write_page
from .sources import CLEAN_MARK_NAME
from .tally import Tally, merge_tallies

FORMAT = "nec13b-cleaning-1"


class WriteReport(PipelineStep):
    """Adds up the tallies and writes `report.json`, `report.html` and, last of all, `mixture.json`. One task.

    Args:
        output: the folder of the run.
        work: the folder of what lies between the stages, with `tallies/` in it; removed in the end, unless it is to
        stay.
        config: the settings.
        steps: the filters in their order.
        thresholds: the threshold of each domain's classifier.
    """

    type = "📊 - STATS"
    name = "report"

    def __init__(
        self, output: Path, work: Path, config: CleanCorpusConfig, steps: list[str], thresholds: dict[str, float]
    ):
        super().__init__()
        self.output, self.work, self.config = output, work, config
        self.steps, self.thresholds = steps, thresholds

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> None:
        tally = merge_tallies(self.work / "tallies")
        mixture = mixture_of(tally, self.config)
        report = report_of(tally, mixture, self.steps, self.thresholds)
        write_json(self.output / "report.json", report)
        write_page(self.output / "report.html", report)
        # The mark of a cleansing that has ended, so it comes last.
        write_json(self.output / CLEAN_MARK_NAME, report["mixture"])
        if not self.config.keep_work:
            shutil.rmtree(self.work, ignore_errors=True)


def mixture_of(tally: Tally, config: CleanCorpusConfig) -> Mixture | None:
    """The mixture that the kept training documents allow; None where there is none of the wanted domains."""
    tokens: dict[tuple[str, str], int] = {}
    for (domain, source, split, _), values in tally.under("kept"):
        if split == "train":
            tokens[domain, source] = tokens.get((domain, source), 0) + values["tokens"]
    if not any(count for (domain, _), count in tokens.items() if domain in config.proportions):
        return None
    present = {source for _, source in tokens}
    weights = {source: weight for source, weight in config.source_weights.items() if source in present}
    return plan_mixture(tokens, config.proportions, config.train_tokens, weights, config.max_epochs)


def report_of(tally: Tally, mixture: Mixture | None, steps: list[str], thresholds: dict[str, float]) -> dict:
    """Everything that the page shows, in JSON's types.

    Returns:
        `read`, `unreadable`, `funnel` (what each step left and dropped, by domain), `reasons`, `kept`, `changed`,
        `lengths`, `scores`, `kinds`, `languages`, `items`, `licences`, `mixture`, `examples`.
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
    left = read["documents"]
    funnel = []
    for step in steps:
        left -= dropped[step]["documents"]
        funnel.append({"step": step, "left": left, **{key: dropped[step][key] for key in ("documents", "characters")}})
    kept_characters = sum(row["characters"] for row in kept)
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
            "characters_cut": read["characters"] - kept_characters - sum(dropped[step]["characters"] for step in steps),
            "parts": kept,
        },
        "changed": {name[0]: dict(values) for name, values in tally.under("changed")},
        "lengths": {"/".join(name): _by_number(values) for name, values in tally.under("lengths")},
        "scores": {"/".join(name): _by_number(values) for name, values in tally.under("scores")},
        "thresholds": thresholds,
        "kinds": {name[0]: dict(values) for name, values in tally.under("kinds")},
        "languages": _by_count({name[0]: values["documents"] for name, values in tally.under("languages")}),
        "items": _by_count({name[0]: values["documents"] for name, values in tally.under("items")}),
        "licences": _by_count({name[0]: values["documents"] for name, values in tally.under("licences")}),
        "mixture": mixture.to_json() if mixture else {"format": "nec13b-mixture-1", "proportions": {}, "sources": []},
        "examples": dict(sorted(tally.examples.items())),
    }


def _by_number(values: dict) -> dict:
    return {key: values[key] for key in sorted(values, key=int)}


def _by_count(values: dict) -> dict:
    return dict(sorted(values.items(), key=lambda item: (-item[1], item[0])))
