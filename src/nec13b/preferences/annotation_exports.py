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

Neither says how much better an answer is, so these preferences have no strength.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

from .answer_pair import AnswerPair, CandidateAnswer
from .judgement import Judgement
from .preference_shapes import TIES, NotAPreference, named_answer, prompt_of_row

ANSWER_STEMS = ("answer", "response", "completion", "generation", "reply", "candidate", "output", "text")
BAD = ("both_bad", "bothbad", "both bad", "neither")


class Opinion(NamedTuple):
    """What one annotator said: the rank of each answer, 1 the best; or, instead, `tie`, `both_bad` or `skipped`."""

    annotator: str
    ranks: dict[str, float]
    instead: str = ""
    time: str = ""


def judged_pairs(row: dict, shape: str, ranked: str, name: str) -> list[tuple[AnswerPair, list[Judgement]]]:
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
        judged.append((pair, [_judgement(own, opinion, one, other) for opinion in opinions]))
    return judged


def _answer_fields(fields: dict) -> Iterator[str]:
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
    if isinstance(responses, dict):  # version 2, nested
        for question, said in responses.items():
            for number, each in enumerate(said or [], start=1):
                if isinstance(each, dict):
                    status = each.get("status") or "submitted"
                    questions[question].append((str(each.get("user_id") or number), each.get("value"), str(status)))
    elif isinstance(responses, list):  # version 1
        for number, each in enumerate(responses, start=1):
            for question, value in ((each.get("values") or {}) if isinstance(each, dict) else {}).items():
                value = value.get("value") if isinstance(value, dict) else value
                status = str(each.get("status") or "submitted")
                questions[question].append((str(each.get("user_id") or number), value, status))
    else:  # version 2, flattened
        for name, values in row.items():
            question, responses_of, rest = str(name).partition(".responses")
            if responses_of and not rest and isinstance(values, list):
                users = row.get(f"{name}.users") or []
                statuses = row.get(f"{name}.status") or []
                for number, value in enumerate(values):
                    user = str(users[number]) if number < len(users) else str(number + 1)
                    status = str(statuses[number]) if number < len(statuses) else "submitted"
                    questions[question].append((user, value, status))
    return dict(questions)


def _label_studio(row: dict):
    """The data of a task, and a function that gives the opinions on the answers that are named to it."""
    annotations = row["annotations"]
    if not isinstance(annotations, list):
        raise NotAPreference("field 'annotations' is not a list")

    def opinions(names: list[str]) -> Iterator[Opinion]:
        for number, each in enumerate(annotations, start=1):
            if not isinstance(each, dict):
                continue
            who, time = each.get("completed_by"), str(each.get("updated_at") or each.get("created_at") or "")
            who = who.get("id", who.get("email")) if isinstance(who, dict) else who
            annotator = str(number if who is None else who)
            if each.get("was_cancelled"):
                yield Opinion(annotator, {}, "skipped", time)
                continue
            results = [result for result in each.get("result") or [] if isinstance(result, dict)]
            understood = (_result(annotator, result, names, time) for result in results)
            opinion = next(filter(None, understood), None)
            if opinion is None:
                raise NotAPreference(f"annotation {number} has no result that tells which answer is better")
            yield opinion

    return row["data"], opinions


def _result(annotator: str, result: dict, names: list[str], time: str) -> Opinion | None:
    value = result.get("value")
    if not isinstance(value, dict):
        return None
    if result.get("type") == "pairwise":
        to_name = result.get("to_name")
        sides = to_name.split(",") if isinstance(to_name, str) else to_name
        sides = [str(side).strip() for side in sides] if isinstance(sides, list) else []
        left, right = sides if len(sides) == 2 and set(sides) <= set(names) else names[:2]
        better = {"left": left, "right": right}.get(value.get("selected"))
        return better and _opinion(annotator, better, names, time)
    choices = value.get("choices")
    return _opinion(annotator, choices[0], names, time) if isinstance(choices, list) and len(choices) == 1 else None
