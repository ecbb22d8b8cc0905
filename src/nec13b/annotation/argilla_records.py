"""Judgements as Argilla's records, for `Dataset.records.from_json`, and back from `Dataset.records.to_json`.

The data set there needs the text fields `prompt`, `first` and `second`, a label question `preference` with VERDICTS as
its labels, a multi-label question `reasons` and a text question `edited`, which need no response, and the metadata
`annotators`: Argilla names people by a UUID, and this says who is who.
"""

import json
import uuid
from collections.abc import Iterable
from typing import Any

from ..dialogues.dialogue import Message
from ..preferences.answer_pair import AnswerPair
from ..preferences.judgement import REASONS, VERDICTS, Judgement

_PEOPLE = uuid.UUID("8b0ae6f4-9f1c-5c57-a0cb-5a5d0a1b7d3e")
QUESTION = "preference"


def records(pairs: Iterable[AnswerPair], judgements: Iterable[Judgement]) -> list[dict[str, Any]]:
    """A record for each pair, with what was said of it as responses; the skipped ones have none there."""
    by_pair: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        if judgement.verdict != "skipped":
            by_pair.setdefault(judgement.pair, []).append(judgement)
    return [_record(pair, by_pair.get(pair.id, [])) for pair in pairs]


def judgements_of_records(rows: Iterable[dict[str, Any]]) -> list[Judgement]:
    """The judgements that Argilla's records hold; raises ValueError where a row is no such record."""
    found = []
    for row in rows:
        responses = row.get("responses") or {}
        names = json.loads((row.get("metadata") or {}).get("annotators") or "{}")
        reasons, edits = (
            {one["user_id"]: one["value"] for one in responses.get(question, [])} for question in ("reasons", "edited")
        )
        for response in responses.get(QUESTION, []):
            person = response["user_id"]
            if response["value"] not in VERDICTS:
                raise ValueError(f"{response['value']!r} is not one of {', '.join(VERDICTS)}")
            given = reasons.get(person) or []
            found.append(
                Judgement(
                    pair=row["id"],
                    annotator=names.get(person, person),
                    verdict=response["value"],
                    reasons=tuple(reason for reason in REASONS if reason in given),
                    edited=edits.get(person) or "",
                )
            )
    return found


def written_out(messages: list[Message]) -> str:
    """A dialogue as one text: the question alone, or each turn under its role."""
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n\n".join(f"{message['role']}:\n{message['content']}" for message in messages)


def _record(pair: AnswerPair, judgements: list[Judgement]) -> dict[str, Any]:
    responses: dict[str, list[dict[str, Any]]] = {QUESTION: [], "reasons": [], "edited": []}
    names = {}
    for judgement in judgements:
        person = str(uuid.uuid5(_PEOPLE, judgement.annotator))
        names[person] = judgement.annotator
        for question, value in (
            (QUESTION, judgement.verdict),
            ("reasons", list(judgement.reasons)),
            ("edited", judgement.edited),
        ):
            if value:
                responses[question].append({"value": value, "user_id": person})
    return {
        "id": pair.id,
        "fields": {"prompt": written_out(pair.prompt), "first": pair.first.text, "second": pair.second.text},
        "metadata": {"annotators": json.dumps(names, ensure_ascii=False)} if names else {},
        "suggestions": {},
        "responses": {question: values for question, values in responses.items() if values},
        "vectors": {},
    }
