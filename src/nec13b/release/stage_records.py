"""How a model came to be: the run records of its stages, found by going back from one to the one before.

A stage keeps its record beside what it made and names there what it began with: the aligned model its chat model, that
its base, that its tokens and tokenizer, those the corpus. What was moved or lies on the Hub ends the way back.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..run_record import RECORD_NAME

# Settings that name what a stage began with, those before it first.
MADE_FROM = ("corpus", "tokenizer", "tokens", "model", "dialogues", "seeds", "preferences")


# By recipe: what the stage is called for people.
STAGE_NAMES = {
    "dirty_corpus": "dirty corpus", "train_quality_classifier": "learned filter", "clean_corpus": "corpus",
    "train_tokenizer": "tokenizer", "pack_tokens": "packed tokens", "pretrain": "pre-training",
    "extend_context": "long context", "prepare_dialogues": "dialogues", "chat_tune": "chat tuning",
    "augment_dialogues": "amplified dialogues", "sample_candidates": "candidates", "annotate_preferences": "judgements",
    "prepare_preferences": "preferences", "align": "alignment", "export": "export",
    "publish_dataset": "published data set",
}  # fmt: skip


@dataclass(frozen=True)
class StageRecord:
    """One stage.

    Attributes:
        stage: name of the recipe.
        folder: where it wrote.
        values: its run.json.
    """

    stage: str
    folder: Path
    values: dict[str, Any]

    @property
    def name(self) -> str:
        """What the stage is called for people."""
        return STAGE_NAMES.get(self.stage, self.stage.replace("_", " "))

    def get(self, *path: str, default: Any = None) -> Any:
        """A value within the record, by its keys."""
        value: Any = self.values
        for key in path:
            if not isinstance(value, dict) or key not in value:
                return default
            value = value[key]
        return value


def stage_records(made: Path) -> list[StageRecord]:
    """The stages that led to an artifact, in the order in which they ran; empty where it has no record.

    Args:
        made: the artifact, `runs/chat_tune/model`, or the folder of its run.
    """
    found: dict[Path, StageRecord] = {}
    _collect(made, found, set())
    return list(found.values())


def _collect(made: Path, found: dict[Path, StageRecord], seen: set[Path]) -> None:
    record = _record_of(made)
    if record is None or record.folder in seen:
        return
    seen.add(record.folder)
    for name in MADE_FROM:
        for entry in _entries(record.get("config", name)):
            _collect(Path(entry), found, seen)
    found[record.folder] = record  # after what it was made from


def _record_of(made: Path) -> StageRecord | None:
    for folder in (made, made.parent):
        path = folder / RECORD_NAME
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(values, dict) and values.get("stage"):
            return StageRecord(values["stage"], folder.resolve(), values)
    return None


def _entries(value: Any) -> Iterator[str]:
    """The places that a setting names; options after a comma are no part of them."""
    for entry in value if isinstance(value, list) else [value]:
        location = entry.get("location") if isinstance(entry, dict) else entry
        if isinstance(location, str) and location and not location.startswith("hub:"):
            yield location.split(",")[0]
