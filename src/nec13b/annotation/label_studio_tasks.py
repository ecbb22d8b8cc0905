"""Judgements as Label Studio's tasks, for its JSON import, and back from its JSON export.

LABELING_CONFIG is the interface that a project there needs. `completed_by` names people by their e-mail address where
Label Studio knows it, else by its own number; ours stand in `annotator` of the result's meta data.
"""

from collections.abc import Iterable
from typing import Any

from ..preferences.answer_pair import AnswerPair
from ..preferences.judgement import REASONS, VERDICTS, Judgement
from .argilla_records import written_out

_CHOICES = "\n".join(f'    <Choice value="{verdict}"/>' for verdict in VERDICTS if verdict != "skipped")
_REASONS = "\n".join(f'    <Choice value="{reason}"/>' for reason in REASONS)
LABELING_CONFIG = f"""<View>
  <Text name="prompt" value="$prompt"/>
  <View style="display: flex; gap: 1em">
    <Text name="first" value="$first"/>
    <Text name="second" value="$second"/>
  </View>
  <Choices name="preference" toName="prompt" choice="single" required="true">
{_CHOICES}
  </Choices>
  <Choices name="reasons" toName="prompt" choice="multiple">
{_REASONS}
  </Choices>
  <TextArea name="edited" toName="prompt"/>
</View>
"""


def tasks(pairs: Iterable[AnswerPair], judgements: Iterable[Judgement]) -> list[dict[str, Any]]:
    """A task for each pair, with each judgement as an annotation."""
    by_pair: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        by_pair.setdefault(judgement.pair, []).append(judgement)
    return [
        {
            "data": {
                "pair": pair.id,
                "prompt": written_out(pair.prompt),
                "first": pair.first.text,
                "second": pair.second.text,
            },
            "annotations": [_annotation(judgement) for judgement in by_pair.get(pair.id, [])],
        }
        for pair in pairs
    ]


def judgements_of_tasks(rows: Iterable[dict[str, Any]]) -> list[Judgement]:
    """The judgements that Label Studio's tasks hold; raises ValueError where a row is no such task."""
    found = []
    for row in rows:
        for annotation in row.get("annotations") or []:
            judgement = _judgement(row["data"]["pair"], annotation)
            if judgement:
                found.append(judgement)
    return found


def _annotation(judgement: Judgement) -> dict[str, Any]:
    skipped = judgement.verdict == "skipped"
    result = [] if skipped else [_result("preference", "choices", [judgement.verdict], judgement)]
    if judgement.reasons:
        result.append(_result("reasons", "choices", list(judgement.reasons), judgement))
    if judgement.edited:
        result.append(_result("edited", "textarea", [judgement.edited], judgement))
    annotation = {
        "was_cancelled": skipped,
        "completed_by": {"email": judgement.annotator} if "@" in judgement.annotator else None,
        "lead_time": judgement.seconds,
        "created_at": judgement.time,
        "result": result,
    }
    return {name: value for name, value in annotation.items() if value not in (None, "")}


def _result(name: str, kind: str, value: list[str], judgement: Judgement) -> dict[str, Any]:
    return {
        "from_name": name,
        "to_name": "prompt",
        "type": kind,
        "value": {"text" if kind == "textarea" else "choices": value},
        "meta": {"annotator": judgement.annotator},
    }


def _judgement(pair: str, annotation: dict[str, Any]) -> Judgement | None:
    values: dict[str, list[str]] = {}
    person = annotation.get("completed_by", "")
    annotator = person.get("email", "") if isinstance(person, dict) else str(person)
    for result in annotation.get("result") or []:
        values[result["from_name"]] = next(iter(result["value"].values()))
        annotator = (result.get("meta") or {}).get("annotator") or annotator
    if not values.get("preference"):
        return None
    verdict, edited = values["preference"][0], values.get("edited") or [""]
    if verdict not in VERDICTS:
        raise ValueError(f"{verdict!r} is not one of {', '.join(VERDICTS)}")
    return Judgement(
        pair=pair,
        annotator=annotator or "label studio",
        verdict=verdict,
        reasons=tuple(reason for reason in REASONS if reason in values.get("reasons", [])),
        edited=edited if isinstance(edited, str) else edited[0],
        seconds=annotation.get("lead_time"),
        time=annotation.get("created_at", ""),
    )
