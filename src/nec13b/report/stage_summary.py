"""What one stage says of itself on the page of the whole run: its numbers, its losses, its pictures, its own page.

Everything is read from what the stage has written: `run.json`, the pictures beside it, `samples.md`, `report.html`.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..corpus.report_page import WORDS
from ..errors import InputError
from ..release.stage_records import StageRecord
from ..run_record import RECORD_NAME, read_json

PICTURES = ("loss.png", "alignment.png", "quality.png")
OWN_PAGE, SAMPLES = "report.html", "samples.md"
EVALUATIONS = (
    "loss_by_position",
    "jglue",
    "rakuda_answers",
    "rakuda_judge",
    "rakuda_report",
    "side_by_side",
    "contamination",
)
# What a stage counts: the words for it, and where the number stands in run.json.
NUMBERS: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "train_quality_classifier": [
        ("documents to learn from", ("counts", "training")),
        ("held out", ("counts", "held_out")),
        ("precision of what is kept", ("metrics", "precision")),
        ("recall of clean text", ("metrics", "recall")),
    ],
    "clean_corpus": [
        ("documents read", ("counts", "read", "documents")),
        ("documents kept", ("counts", "kept", "documents")),
        ("tokens kept", ("counts", "kept", "tokens")),
    ],
    "train_tokenizer": [("tokens", ("counts", "tokens")), ("pre-tokens", ("counts", "pre_tokens"))],
    "pretrain": [
        ("parameters", ("counts", "parameters")),
        ("steps", ("counts", "steps")),
        ("tokens", ("counts", "tokens")),
    ],
    "extend_context": [
        ("steps", ("counts", "steps")),
        ("tokens", ("counts", "tokens")),
        ("window, tokens", ("config", "sequence_length")),
    ],
    "prepare_dialogues": [
        ("dialogues to train on", ("counts", "kept", "train")),
        ("held out", ("counts", "kept", "held_out")),
        ("set aside", ("counts", "set_aside")),
    ],
    "chat_tune": [
        ("steps", ("counts", "steps")),
        ("tokens", ("counts", "tokens")),
        ("answers to held-out dialogues", ("metrics", "answers")),
        ("of these end by themselves", ("metrics", "answers_that_end")),
    ],
    "augment_dialogues": [
        ("items asked for", ("counts", "requested")),
        ("kept", ("counts", "kept")),
        ("rejected", ("counts", "rejected")),
        ("failed", ("counts", "failed")),
    ],
    "sample_candidates": [
        ("prompts", ("counts", "prompts")),
        ("answers", ("counts", "answered")),
        ("pairs to compare", ("counts", "pairs")),
    ],
    "annotate_preferences": [
        ("pairs", ("counts", "pairs")),
        ("judgements", ("counts", "judged")),
        ("preferences", ("counts", "preferences")),
        ("Krippendorff's alpha, ordinal", ("metrics", "alpha", "ordinal", "alpha")),
    ],
    "prepare_preferences": [
        ("preferences to train on", ("counts", "kept", "train")),
        ("held out", ("counts", "kept", "held_out")),
        ("right by the longer answer", ("metrics", "length_bias", "longer_wins", "accuracy")),
    ],
    "align": [("steps", ("counts", "steps")), ("tokens", ("counts", "tokens"))],
    "export": [("parameters", ("counts", "parameters"))],
    "publish_dataset": [
        ("documents to train on", ("counts", "train")),
        ("held out", ("counts", "held_out")),
    ],
}


@dataclass(frozen=True)
class StageSummary:
    """What the page shows of a stage.

    Attributes:
        title: for people.
        command: the file that was run.
        folder: where it wrote.
        seconds: how long its last call took.
        numbers: what it counted, as words and numbers.
        losses: on held-out text, `(text, before, after)` in nats per token.
        funnel: of the cleansing, `{"step", "documents", "left", "left_width", "width"}` with widths in per cent.
        pictures: PNG files in base64.
        page: its own report, or None.
        samples: what the model wrote along the way, Markdown, or empty.
    """

    title: str
    command: str
    folder: Path
    seconds: float
    numbers: list[tuple[str, Any]]
    losses: list[tuple[str, float | None, float]]
    funnel: list[dict[str, Any]]
    pictures: list[str]
    page: Path | None
    samples: str


def stage_summary(folder: Path) -> StageSummary:
    """Reads what a stage left in its folder.

    Raises:
        InputError: there is no whole record, or one of another make.
    """
    values = read_json(folder / RECORD_NAME, "the recipe whose folder it is")
    if not isinstance(values, dict) or not isinstance(values.get("stage"), str):
        raise InputError(f"{folder / RECORD_NAME} is not the record of a recipe")
    record = StageRecord(values["stage"], folder, values)
    try:
        numbers = [(words, record.get(*path)) for words, path in NUMBERS.get(record.stage, [])]
        numbers += MORE_NUMBERS.get(record.stage, lambda _: [])(record)
        losses, funnel = _losses(record), _funnel(record)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise InputError(f"{folder / RECORD_NAME} is not of this version of {record.stage}; run that again") from None
    return StageSummary(
        title=record.name[0].upper() + record.name[1:],
        command=f"{'evaluation' if record.stage in EVALUATIONS else 'recipes'}/{record.stage}.py",
        folder=folder,
        seconds=record.get("timings_seconds", "total", default=0.0),
        numbers=[(words, value) for words, value in numbers if value is not None],
        losses=losses,
        funnel=funnel,
        pictures=[picture_of(folder / name) for name in PICTURES if (folder / name).is_file()],
        page=folder / OWN_PAGE if (folder / OWN_PAGE).is_file() else None,
        samples=(folder / SAMPLES).read_text(encoding="utf-8") if (folder / SAMPLES).is_file() else "",
    )


def picture_of(path: Path) -> str:
    """A picture as a data address takes it."""
    return base64.b64encode(path.read_bytes()).decode()


def _losses(record: StageRecord) -> list[tuple[str, float | None, float]]:
    before = record.get("metrics", "held_out_loss_at_start", default={})
    return [(text, before.get(text), loss) for text, loss in record.get("metrics", "held_out_loss", default={}).items()]


def _funnel(record: StageRecord) -> list[dict[str, Any]]:
    whole = record.get("counts", "read", "documents", default=0) or 1
    return [
        {
            "step": WORDS.get(row["step"], row["step"].replace("_", " ")), "documents": row["documents"],
            "left": row["left"], "left_width": 100 * row["left"] / whole, "width": 100 * row["documents"] / whole,
        }
        for row in record.get("counts", "funnel", default=[]) if row["documents"]
    ]  # fmt: skip


def _of_dirt(record: StageRecord) -> list[tuple[str, Any]]:
    kinds: dict[str, int] = {}
    for counts in record.get("counts", default={}).values():
        for kind, count in counts.items():
            kinds[kind] = kinds.get(kind, 0) + count
    return [("documents clean", kinds.pop("clean", 0)), ("documents made dirty", sum(kinds.values()))]


def _of_removal(record: StageRecord) -> list[tuple[str, Any]]:
    compression = record.get("metrics", "characters_per_token", default={})
    return [
        ("unsuitable ones removed", sum(record.get("counts", "removed", default={}).values())),
        *((f"characters a token, {domain}", row["after"]) for domain, row in compression.items()),
    ]


def _of_streams(record: StageRecord) -> list[tuple[str, Any]]:
    streams = record.get("counts", "streams", default={})
    return [(f"tokens, {name.replace('/', ', ')}", row["tokens"]) for name, row in streams.items()]


def _of_accuracy(record: StageRecord) -> list[tuple[str, Any]]:
    at_start, at_end = (record.get("metrics", when, default={}) for when in ("at_start", "at_end"))
    return [
        (f"{name.replace('_', ' ')}, {when}", row[name])
        for name in at_end
        for when, row in (("before", at_start), ("after", at_end))
        if name in row
    ]


def _of_export(record: StageRecord) -> list[tuple[str, Any]]:
    return [
        (f"largest difference of a logit, {form}", max(row["difference"] for row in rows))
        for form, rows in record.get("metrics", default={}).items() if rows
    ]  # fmt: skip


def _of_comparison(record: StageRecord) -> list[tuple[str, Any]]:
    measured = {
        f"{words}, {model}": values["shape"][name]
        for words, name in (("tokens of an answer", "tokens"), ("answers that end", "ended"),
                            ("repetition within an answer", "repetition"))
        for model, values in record.get("metrics", "answers", default={}).items()
    }  # fmt: skip
    for model, values in record.get("metrics", "difference", default={}).items():
        accuracy = (values.get("implicit_accuracy") or {}).get("value")
        measured[f"held-out pairs whose margin grew, {model}"] = accuracy
    return list(measured.items())


MORE_NUMBERS: dict[str, Callable[[StageRecord], list[tuple[str, Any]]]] = {
    "dirty_corpus": _of_dirt,
    "train_tokenizer": _of_removal,
    "pack_tokens": _of_streams,
    "align": _of_accuracy,
    "export": _of_export,
    "side_by_side": _of_comparison,
}
