"""Pairs and judgements out of the exports of Argilla and Label Studio, to be adjudicated like our own.

Argilla: records as `dataset.records.to_list()`, `to_json()` or `to_datasets()` write them, and those of version 1. The
better answer is told by a ranking question over the answers, or by a label question that names one of them.

    {"id": "...", "fields": {"prompt": "...", "answer_1": "...", "answer_2": "..."},
     "responses": {"preference": [{"value": "answer_1", "user_id": "..."}]}}
    {"prompt": "...", "answer_1": "...", "answer_2": "...", "preference.responses": ["answer_1"],
     "preference.responses.users": ["..."], "preference.responses.status": ["submitted"]}

Label Studio: tasks of the export format JSON. The better answer is told by a Pairwise control (`left` is the first name
in its `toName`), or by Choices that name one of the answers.

    {"id": 1, "data": {"prompt": "...", "answer1": "...", "answer2": "..."}, "annotations": [{"completed_by": 1,
     "result": [{"type": "pairwise", "to_name": "answer1,answer2", "value": {"selected": "left"}}]}]}

Neither says how much better an answer is, so these preferences have no strength, unless the labels are the verdicts of
our own annotation (`first_better`, `tie`, ...) on the fields `first` and `second`. Only verdicts are read here: whoever
wants reasons and edits too takes the export back into the annotation (recipes/annotate_preferences.py).
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

from ..dialogues.dialogue_shapes import kind_of
from .answer_pair import AnswerPair, CandidateAnswer
from .judgement import VERDICTS, Judgement
from .preference_shapes import TIES, NotAPreference, named_answer, prompt_of_row

ANSWER_STEMS = ("answer", "response", "completion", "generation", "reply", "candidate", "output", "text")
OWN_ANSWERS = ("first", "second")  # as our own annotation calls them
GRADES = tuple(verdict for verdict in VERDICTS if verdict.startswith(OWN_ANSWERS))
BAD = ("both_bad", "bothbad", "both bad", "neither")


class JudgedPair(NamedTuple):
    """A pair, what was said of it, and whether that says how much better an answer is."""

    pair: AnswerPair
    judgements: list[Judgement]
    graded: bool


class Opinion(NamedTuple):
    """What one annotator said: the rank of each answer, 1 the best; or, instead, one of VERDICTS."""

    annotator: str
    ranks: dict[str, float]
    instead: str = ""
    time: str = ""


def judged_pairs(row: dict, shape: str, ranked: str, name: str) -> list[JudgedPair]:
    """The pairs of an exported record or task, each with what was said of it.

    Args:
        row: of the export.
        shape: `argilla` or `label_studio`.
        ranked: of more than two answers, `best` against worst by their mean rank, or `all` pairs.
        name: what the pair is called.

    Raises:
        NotADialogue: it has no prompt, no two answers, or nothing that tells which of them is better.
    """
    fields, opinions = (_argilla if shape == "argilla" else _label_studio)(row)
    names = list(_answer_fields(fields))
    if len(names) < 2:
        raise NotAPreference(f"fewer than two answers among its fields {', '.join(map(str, fields))}")
    prompt = prompt_of_row({key: value for key, value in fields.items() if key not in names})
    opinions = list(opinions(names))
    if len(names) == 2:
        pairs = [(names[0], names[1])]
    elif ranked == "all":
        pairs = list(combinations(names, 2))
    else:
        means = _mean_ranks(names, opinions)
        pairs = [(min(names, key=means.__getitem__), max(reversed(names), key=means.__getitem__))]
    judged = []
    for number, (one, other) in enumerate(pairs, start=1):
        own = name if len(pairs) == 1 else f"{name}#{number}"
        pair = AnswerPair(own, prompt, _candidate(fields, one), _candidate(fields, other))
        judgements = [_judgement(own, opinion, one, other) for opinion in opinions]
        judged.append(JudgedPair(pair, judgements, any(opinion.instead in GRADES for opinion in opinions)))
    return judged


def _answer_fields(fields: dict) -> Iterator[str]:
    if all(isinstance(fields.get(name), str) for name in OWN_ANSWERS):
        yield from OWN_ANSWERS
        return
    for name, value in fields.items():
        if isinstance(value, str) and str(name).lower().startswith(ANSWER_STEMS):
            yield name


def _candidate(fields: dict, name: str) -> CandidateAnswer:
    return CandidateAnswer(fields[name].strip(), {"field": name})


def _judgement(pair: str, opinion: Opinion, one: str, other: str) -> Judgement:
    verdict = opinion.instead
    if not verdict:
        ranks = [opinion.ranks.get(name) for name in (one, other)]
        verdict = (
            "skipped" if None in ranks else "tie" if ranks[0] == ranks[1]
            else "first_better" if ranks[0] < ranks[1] else "second_better"
        )  # fmt: skip
    return Judgement(pair, opinion.annotator, verdict, time=opinion.time)


def _mean_ranks(names: list[str], opinions: list[Opinion]) -> dict[str, float]:
    ranks = defaultdict(list)
    for opinion in opinions:
        for name, rank in opinion.ranks.items():
            ranks[name].append(rank)
    # An answer that nobody ranked is neither the best nor the worst.
    middle = (len(names) + 1) / 2
    return {name: sum(ranks[name]) / len(ranks[name]) if ranks[name] else middle for name in names}


def _opinion(annotator: str, value: Any, names: list[str], time: str = "") -> Opinion | None:
    """What a value means that was given as an answer; None where it means nothing of the kind."""
    if isinstance(value, dict) and isinstance(value.get("value"), list):  # lists by field, as `datasets` writes them
        value = [{"value": each, "rank": rank} for each, rank in zip(value["value"], value.get("rank") or [])]
    if isinstance(value, list):
        ranks = {}
        for place, each in enumerate(value, start=1):
            said = each.get("value") if isinstance(each, dict) else each
            rank = each.get("rank") if isinstance(each, dict) else place
            found = named_answer(str(said), tuple(names))
            if found is None or not isinstance(rank, (int, float)):
                return None
            ranks[found] = rank
        return Opinion(annotator, ranks, time=time) if ranks else None
    if not isinstance(value, str):
        return None
    if tuple(names) == OWN_ANSWERS and value in VERDICTS:
        return Opinion(annotator, {}, value, time)
    if value.strip().lower() in BAD:
        return Opinion(annotator, {}, "both_bad", time)
    if value.strip().lower() in TIES:
        return Opinion(annotator, {}, "tie", time)
    better = named_answer(value.strip(), tuple(names))
    return better and Opinion(annotator, {name: 1 if name == better else 2 for name in names}, time=time)


def _argilla(row: dict):
    """The fields of a record, and a function that gives the opinions on the answers that are named to it."""
    fields = row.get("fields")
    if not isinstance(fields, dict):  # flattened
        fields = {name: value for name, value in row.items() if "." not in str(name)}
    questions = _argilla_questions(row)

    def opinions(names: list[str]) -> Iterator[Opinion]:
        for said in questions.values():
            understood = [
                _opinion(annotator, value, names) if status == "submitted" else Opinion(annotator, {}, "skipped")
                for annotator, value, status in said
            ]
            if None not in understood and any(each.ranks or each.instead != "skipped" for each in understood):
                yield from understood
                return
        if questions:
            raise NotAPreference(
                f"none of its questions ({', '.join(questions)}) tells which of {', '.join(names)} is better"
            )

    return fields, opinions


def _argilla_questions(row: dict) -> dict[str, list[tuple[str, Any, str]]]:
    """(annotator, value, status) of each response, by question."""
    questions: dict[str, list[tuple[str, Any, str]]] = defaultdict(list)
    responses = row.get("responses")
    if isinstance(responses, list):  # version 1
        for number, written in enumerate(responses, start=1):
            each = _object(written, f"response {number}")
            for question, value in _object(each.get("values"), f"field 'values' of response {number}").items():
                value = value.get("value") if isinstance(value, dict) else value
                questions[question].append((_annotator(each.get("user_id"), number), value, _status(each)))
    elif responses is not None:  # version 2, nested
        for question, said in _object(responses, "field 'responses'").items():
            for number, written in enumerate(_list(said, f"the responses to {question}"), start=1):
                each = _object(written, f"response {number} to {question}")
                questions[question].append((_annotator(each.get("user_id"), number), each.get("value"), _status(each)))
    else:  # version 2, flattened
        for name, written in row.items():
            question, responses_of, rest = str(name).partition(".responses")
            if not responses_of or rest:
                continue
            values = _list(written, f"field {name!r}")
            users, statuses = (
                _list(row.get(f"{name}.{of}"), f"field '{name}.{of}'") + [None] * len(values)
                for of in ("users", "status")
            )
            for number, (value, user, status) in enumerate(zip(values, users, statuses), start=1):
                questions[question].append((_annotator(user, number), value, _status({"status": status})))
    return dict(questions)


def _annotator(user: Any, number: int) -> str:
    return str(number if user is None else user)


def _status(response: dict) -> str:
    return str(response.get("status") or "submitted")


def _list(value: Any, what: str) -> list:
    if value is not None and not isinstance(value, list):
        raise NotAPreference(f"{what} is {kind_of(value)}, not a list")
    return value or []


def _object(value: Any, what: str) -> dict:
    if value is not None and not isinstance(value, dict):
        raise NotAPreference(f"{what} is {kind_of(value)}, not an object")
    return value or {}


def _label_studio(row: dict):
    """The data of a task, and a function that gives the opinions on the answers that are named to it."""

    def opinions(names: list[str]) -> Iterator[Opinion]:
        for number, written in enumerate(_list(row["annotations"], "field 'annotations'"), start=1):
            each = _object(written, f"annotation {number}")
            who, time = each.get("completed_by"), str(each.get("updated_at") or each.get("created_at") or "")
            who = who.get("id", who.get("email")) if isinstance(who, dict) else who
            annotator = _annotator(who, number)
            if each.get("was_cancelled"):
                yield Opinion(annotator, {}, "skipped", time)
                continue
            results = _list(each.get("result"), f"field 'result' of annotation {number}")
            understood = (_result(annotator, result, names, time) for result in results if isinstance(result, dict))
            opinion = next(filter(None, understood), None)
            if opinion is None:
                raise NotAPreference(f"annotation {number} has no result that tells which answer is better")
            yield opinion

    return row["data"], opinions


def _result(annotator: str, result: dict, names: list[str], time: str) -> Opinion | None:
    value, meta = result.get("value"), result.get("meta")
    if not isinstance(value, dict):
        return None
    annotator = str(meta.get("annotator") or annotator) if isinstance(meta, dict) else annotator
    if result.get("type") == "pairwise":
        to_name = result.get("to_name")
        sides = to_name.split(",") if isinstance(to_name, str) else to_name
        sides = [str(side).strip() for side in sides] if isinstance(sides, list) else []
        left, right = sides if len(sides) == 2 and set(sides) <= set(names) else names[:2]
        better = {"left": left, "right": right}.get(value.get("selected"))
        return better and _opinion(annotator, better, names, time)
    choices = value.get("choices")
    return _opinion(annotator, choices[0], names, time) if isinstance(choices, list) and len(choices) == 1 else None
