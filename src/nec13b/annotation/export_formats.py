"""What a campaign gives away, and takes in: files of judgements in the formats that others read.

    jsonl         judgements.jsonl, every word of everybody, and preferences.jsonl, what they make together
    datasets      preferences.parquet: `prompt`, `chosen`, `rejected`, for `datasets.load_dataset("parquet", ...)`
    argilla       argilla.json, records for `Dataset.records.from_json`
    label_studio  label_studio.json, tasks to import, and label_studio.xml, the interface that they need

Planted checks are among the judgements, and not among the preferences: their answer was known.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets import Dataset

from ..errors import InputError
from ..preferences.adjudication import Adjudication, AdjudicationRule, adjudicated
from ..preferences.answer_pair import AnswerPair
from ..preferences.judgement import Judgement
from ..preferences.judgement_files import JUDGEMENTS_NAME, pair_of_row, read_judgements, write_rows
from ..run_record import write_json
from ..whole_files import whole_file
from .argilla_records import judgements_of_records, records
from .campaign import RECORDED, STRANGE, Campaign
from .label_studio_tasks import LABELING_CONFIG, judgements_of_tasks, tasks
from .pair_questions import SAMPLE, judgement_of, right_answer

FORMATS = ("jsonl", "datasets", "argilla", "label_studio")
PREFERENCES_NAME = "preferences.jsonl"


def pairs_and_judgements(campaign: Campaign) -> tuple[list[AnswerPair], list[Judgement]]:
    """The pairs of a campaign, checks included, and the judgements that stand, in the order in which they were made."""
    pairs = [pair_of_row(task.row) for task in campaign.tasks()]
    return pairs, [judgement_of(each) for each in campaign.judgements()]


def adjudication_of(pairs: list[AnswerPair], judgements: list[Judgement], rule: AdjudicationRule) -> Adjudication:
    """What the judgements make together; checks aside."""
    checks = {pair.id for pair in pairs if right_answer(pair)}
    return adjudicated(
        [pair for pair in pairs if pair.id not in checks],
        [judgement for judgement in judgements if judgement.pair not in checks],
        rule,
    )


def write_export(kind: str, folder: Path, campaign: Campaign, rule: AdjudicationRule) -> list[Path]:
    """Writes what was judged so far.

    Args:
        kind: one of FORMATS.
        folder: where the files go; each appears when it is whole.
        campaign: of pairs; it may be under way.
        rule: when judgements make a preference.

    Returns:
        The files.
    """
    pairs, judgements = pairs_and_judgements(campaign)
    if kind == "jsonl":
        preferences = adjudication_of(pairs, judgements, rule).preferences
        write_rows(folder / JUDGEMENTS_NAME, judgements)
        write_rows(folder / PREFERENCES_NAME, preferences)
        return [folder / JUDGEMENTS_NAME, folder / PREFERENCES_NAME]
    if kind == "datasets":
        path = folder / "preferences.parquet"
        rows = [
            {"prompt": each.prompt, "chosen": each.chosen, "rejected": each.rejected, "id": each.id,
             "strength": each.strength}
            for each in adjudication_of(pairs, judgements, rule).preferences
        ]  # fmt: skip
        if not rows:
            raise InputError("no preference has come of the judgements yet, so there is no data set to write")
        with whole_file(path) as building:
            Dataset.from_list(rows).to_parquet(building)
        return [path]
    if kind == "argilla":
        return [write_json(folder / "argilla.json", records(pairs, judgements))]
    config = folder / "label_studio.xml"
    config.write_text(LABELING_CONFIG, encoding="utf-8")
    return [write_json(folder / "label_studio.json", tasks(pairs, judgements)), config]


def judgements_of_file(path: Path) -> list[Judgement]:
    """The judgements of a file: JSONL as `judgements.jsonl`, Argilla's records, Label Studio's tasks; or `sample`.

    Raises:
        InputError: it cannot be read, or holds none of these.
    """
    if str(path) == SAMPLE:
        path = Path(__file__).with_name(SAMPLE) / JUDGEMENTS_NAME
    if path.suffix == ".jsonl":
        return read_judgements(path)
    try:
        rows: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise InputError(f"{path} is not JSON; judgements a line stand in a file named .jsonl") from None
    readers: tuple[tuple[str, Callable], ...] = (("fields", judgements_of_records), ("data", judgements_of_tasks))
    for name, read in readers:
        if isinstance(rows, list) and rows and all(isinstance(row, dict) and name in row for row in rows):
            try:
                return read(rows)
            except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
                raise InputError(f"{path} holds a record that is not of this campaign: {error!r}") from None
    raise InputError(f"{path} holds neither Argilla's records nor Label Studio's tasks")


def take_in(path: Path, campaign: Campaign) -> dict[str, int]:
    """Takes judgements that were made elsewhere into a campaign; the same file, taken in again, changes nothing.

    Returns:
        How many were `recorded`, were `known` (by the file or by that person), or were `strange`: of no pair here.

    Raises:
        InputError: the file cannot be read.
    """
    counts = {"recorded": 0, "known": 0, "strange": 0}
    for judgement in judgements_of_file(path):
        content = {
            "verdict": judgement.verdict,
            "reasons": list(judgement.reasons),
            "edited": judgement.edited,
            "comment": judgement.comment,
            "shown_first": judgement.shown_first,
            "taken_in_from": path.name,
        }
        counts_as_one = judgement.verdict != "skipped"
        outcome = campaign.take_in_judgement(
            judgement.pair, judgement.annotator, content, counts_as_one, judgement.seconds, judgement.time
        )
        counts[{RECORDED: "recorded", STRANGE: "strange"}.get(outcome, "known")] += 1
    return counts
