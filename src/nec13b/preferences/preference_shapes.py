"""The preferences of a row, in whichever of the common shapes it is written.

    paired        {"prompt", "chosen", "rejected"}: texts or lists of messages; without a prompt, or where the answers
                  begin with the user's message, the whole conversations share their beginning
    transcript    the same with "\\n\\nHuman: ... \\n\\nAssistant: ..." in one text, as HH-RLHF has it
    ranked        {"prompt", "answers": [{"text", "score" or "rank"}, ...]}, or texts and a list `scores` or `ranks`
    labelled      {"prompt", "response_a", "response_b", "winner": "a"}, two answers and the name of the better one
    argilla       records of Argilla; label_studio: tasks of Label Studio. Both are read in `annotation_exports.py`

A shape is recognised by the fields a row has. What is in the messages is not judged here, but by
`preference_checks.py`.
"""

import json
import math
import re
from itertools import combinations
from typing import Any, NamedTuple

from ..dialogues.dialogue import Message
from ..dialogues.dialogue_shapes import SYSTEM_FIELDS, NotADialogue, kind_of, messages_of_row

SHAPES = ("paired", "transcript", "ranked", "labelled", "argilla", "label_studio")
RANKED = ("best", "all")
PROMPT_FIELDS = ("prompt", "question", "instruction", "query", "input", "conversations", "messages", "context")
INPUT_FIELDS = ("input", "context")  # what an instruction is about, as Alpaca has it
ANSWER_LISTS = ("answers", "completions", "responses", "candidates", "generations")
TEXT_FIELDS = ("text", "answer", "response", "content", "completion", "output", "messages")
# Whether more is better, by the name of what an answer was given.
SCORE_FIELDS = {"score": 1, "overall_score": 1, "rating": 1, "rank": -1, "ranking": -1}
LABELLED_PAIRS = tuple(
    (f"{stem}{gap}{one}", f"{stem}{gap}{other}")
    for stem in ("answer", "response", "completion", "conversation", "output")
    for gap in ("_", "-", "")
    for one, other in (("a", "b"), ("A", "B"), ("0", "1"), ("1", "2"))
)
LABEL_FIELDS = ("winner", "preference", "preferred", "better", "better_response_id", "label", "choice")
TIES = ("tie", "tie (bothbad)", "both", "both_bad", "bothbad", "equal", "neither", "none")
TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):")


class NotAPreference(NotADialogue):
    """A row from which no preference can be made; says why."""


class NobodyPreferred(ValueError):
    """A row that is in order, but prefers no answer.

    Attributes:
        reason: `tie`, `both bad`, `conflict`, `too few judges`.
        detail: what was said.
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class WrittenPreference(NamedTuple):
    """A preference as a row has it: what the prompt is, the better and the worse answer, and what is known of each."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    provenance: dict[str, Any]


class Fields(NamedTuple):
    """What the fields of a row are called, where they are called otherwise."""

    prompt: str = ""
    chosen: str = "chosen"
    rejected: str = "rejected"


FIELDS = Fields()


def shape_of_row(row: Any, fields: Fields = FIELDS) -> str:
    """Which of SHAPES a row is written in; raises NotAPreference where it fits none."""
    if not isinstance(row, dict):
        raise NotAPreference(f"a row is an object, not {kind_of(row)}")
    if isinstance(row.get("data"), dict) and "annotations" in row:
        return "label_studio"
    if (isinstance(row.get("fields"), dict) and "responses" in row) or any(
        str(name).endswith(".responses") for name in row
    ):
        return "argilla"
    if fields.chosen in row and fields.rejected in row:
        texts = [row[name] for name in (fields.chosen, fields.rejected, _prompt_field(row, fields)) if name]
        return "transcript" if any(isinstance(text, str) and is_transcript(text) for text in texts) else "paired"
    if _answers(row) is not None:
        return "ranked"
    if _labelled_pair(row):
        return "labelled"
    raise NotAPreference(f"no known shape; it has the fields {', '.join(map(str, row)) or '(none)'}")


def preferences_of_row(row: dict, shape: str, ranked: str = "best", fields: Fields = FIELDS) -> list[WrittenPreference]:
    """The preferences of a row.

    Args:
        row: what a file or data set holds.
        shape: `paired`, `transcript`, `ranked` or `labelled`.
        ranked: of more than two answers, `best` against worst, or `all` pairs of which one is better.
        fields: what the fields are called.

    Raises:
        NotADialogue: the row does not have the shape, or its messages are none.
        NobodyPreferred: it prefers no answer.
    """
    if shape in ("paired", "transcript"):
        return [_paired(row, shape, fields)]
    if shape == "ranked":
        return _ranked(row, ranked, fields)
    if shape == "labelled":
        return [_labelled(row, fields)]
    raise NotAPreference(f"unknown shape {shape!r}; known are {', '.join(SHAPES)}")


def is_transcript(text: str) -> bool:
    """Whether a text begins as a transcript of HH-RLHF does."""
    return TURN.match(text.lstrip("\n ")) is not None


def messages_of_transcript(text: str) -> list[Message]:
    """The messages of `\\n\\nHuman: ... \\n\\nAssistant: ...`; raises NotAPreference where it does not begin so."""
    before, *turns = TURN.split(text.lstrip("\n "))
    if before.strip() or not turns:
        raise NotAPreference(f"a transcript begins with 'Human:', not with {before.strip()[:40]!r}")
    roles = {"Human": "user", "Assistant": "assistant"}
    return [Message(role=roles[who], content=said.strip()) for who, said in zip(turns[::2], turns[1::2])]


def shared_beginning(one: list[Message], other: list[Message]) -> int:
    """How many messages two conversations have in common at their beginning; the last of each is never among them."""
    most, length = min(len(one), len(other)) - 1, 0
    while length < most and one[length] == other[length]:
        length += 1
    return max(length, 0)


def prompt_of_row(row: dict, fields: Fields = FIELDS) -> list[Message]:
    """The prompt of a row, with its system message and tools; raises NotADialogue."""
    name = _prompt_field(row, fields)
    if not name:
        raise NotAPreference(f"no field {fields.prompt!r}" if fields.prompt else "no field of a prompt")
    messages = _messages(row[name], "user", f"field {name!r}")
    about = next((row[each] for each in INPUT_FIELDS if name == "instruction" and row.get(each)), None)
    if isinstance(about, str) and [message["role"] for message in messages] == ["user"]:
        messages = [Message(role="user", content=f"{messages[0]['content']}\n\n{about}")]
    if isinstance(row[name], str) and messages and messages[-1] == Message(role="assistant", content=""):
        messages.pop()  # a transcript that ends where the answer is to come
    return _with_system(row, messages)


def _paired(row: dict, shape: str, fields: Fields) -> WrittenPreference:
    for name in (fields.chosen, fields.rejected):
        if row.get(name) is None:
            raise NotAPreference(f"no field {name!r}" if name not in row else f"field {name!r} holds nothing")
    chosen, rejected = (
        _messages(row[name], "assistant", f"field {name!r}") for name in (fields.chosen, fields.rejected)
    )
    provenance = _side_by_side({"score": row.get("score_chosen")}, {"score": row.get("score_rejected")})
    name = _prompt_field(row, fields)
    if name and not any(side and side[0]["role"] in ("user", "system") for side in (chosen, rejected)):
        return WrittenPreference(prompt_of_row(row, fields), chosen, rejected, provenance)
    chosen, rejected = (_with_system(row, side) for side in (chosen, rejected))
    shared = shared_beginning(chosen, rejected)
    if not shared:
        raise NotAPreference(
            "no field of a prompt, and the answers are no conversations that begin alike"
            if shape == "paired"
            else "the transcripts have no beginning in common"
        )
    return WrittenPreference(chosen[:shared], chosen[shared:], rejected[shared:], provenance)


def _ranked(row: dict, ranked: str, fields: Fields) -> list[WrittenPreference]:
    name = _answers(row)
    if name is None:
        raise NotAPreference(f"no list of answers ({', '.join(ANSWER_LISTS)})")
    prompt, answers = prompt_of_row(row, fields), row[name]
    if len(answers) < 2:
        raise NotAPreference(f"field {name!r} holds fewer than two answers")
    texts, values = [], []
    for number, answer in enumerate(answers, start=1):
        what = f"answer {number} of field {name!r}"
        field = next((each for each in TEXT_FIELDS if isinstance(answer, dict) and each in answer), None)
        if isinstance(answer, dict) and field is None and "role" not in answer:
            raise NotAPreference(f"{what} has no text")
        texts.append(_messages(answer[field] if field else answer, "assistant", what))
        values.append(_value(row, answers, number - 1, what))
    order = sorted(range(len(values)), key=lambda n: -values[n])  # stable: of equals the first is best
    pairs = combinations(order, 2) if ranked == "all" else [(order[0], order[-1])]
    written = [
        WrittenPreference(prompt, texts[one], texts[other], _side_by_side(_known(answers[one]), _known(answers[other])))
        for one, other in pairs
        if values[one] > values[other]
    ]
    if not written:
        raise NobodyPreferred("tie", f"all {len(values)} answers rank alike")
    return written


def _labelled(row: dict, fields: Fields) -> WrittenPreference:
    names = _labelled_pair(row)
    label = next((name for name in LABEL_FIELDS if row.get(name) is not None), None)
    if not names or label is None:
        raise NotAPreference("no two answers with the name of the better one")
    said = str(row[label]).strip()
    if said.lower() in TIES:
        raise NobodyPreferred("tie", f"field {label!r} says {said}")
    better = named_answer(said, names)
    if better is None:
        raise NotAPreference(f"field {label!r} names none of {', '.join(names)}: {said[:40]!r}")
    worse = next(name for name in names if name != better)
    sides = [_messages(row[name], "assistant", f"field {name!r}") for name in (better, worse)]
    if sides[0] and sides[0][0]["role"] in ("user", "system"):
        shared = shared_beginning(*sides)
        return WrittenPreference(sides[0][:shared], sides[0][shared:], sides[1][shared:], {})
    return WrittenPreference(prompt_of_row(row, fields), *sides, {})


def named_answer(said: str, names: tuple[str, ...]) -> str | None:
    """Which of some fields a label means: by its name, or by how it ends (`model_b` and `b` mean `answer_b`)."""
    wanted = _plain(said)
    exact = [name for name in names if _plain(name) == wanted]
    ends = [name for name in names if (end := _ending(name)) and wanted in (end, f"model{end}", f"response{end}")]
    found = exact or ends
    return found[0] if len(found) == 1 else None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def _ending(name: str) -> str:
    found = re.search(r"(?:[-_ ]([a-z])|(\d+)|(?<=[a-z])([A-Z]))$", name)
    return (found[1] or found[2] or found[3]).lower() if found else ""


def _prompt_field(row: dict, fields: Fields) -> str:
    names = (fields.prompt,) if fields.prompt else PROMPT_FIELDS
    return next((name for name in names if row.get(name) not in (None, "", [])), "")


def _answers(row: dict) -> str | None:
    return next((name for name in ANSWER_LISTS if isinstance(row.get(name), list) and row[name]), None)


def _labelled_pair(row: dict) -> tuple[str, str] | None:
    return next((pair for pair in LABELLED_PAIRS if pair[0] in row and pair[1] in row), None)


def _messages(value: Any, role: str, what: str) -> list[Message]:
    """Messages, a single one, a transcript, or a text that somebody says."""
    if isinstance(value, str):
        if is_transcript(value):
            return messages_of_transcript(value)
        value = _listed(value) or [Message(role=role, content=value.strip() if role == "assistant" else value)]
    if isinstance(value, dict) and ("role" in value or "from" in value):
        value = [value]
    if not isinstance(value, list):
        raise NotAPreference(f"{what} holds {kind_of(value)}, not a text or messages")
    try:
        return messages_of_row({"messages": value}, "messages")
    except NotADialogue as error:
        raise NotAPreference(f"{what}: {error}") from None


def _listed(text: str) -> list[dict] | None:
    """A list of messages that is written as JSON, as some data sets do; None where the text is none."""
    if not text.startswith("[{"):
        return None
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return items if all(isinstance(each, dict) and ("role" in each or "from" in each) for each in items) else None


def _with_system(row: dict, messages: list[Message]) -> list[Message]:
    more = {name: row[name] for name in (*SYSTEM_FIELDS, "tools") if row.get(name)}
    return messages_of_row({"messages": messages, **more}, "messages") if more else messages


def _value(row: dict, answers: list, number: int, what: str) -> float:
    """How good an answer is, more is better: by its own score or rank, or by the list of them beside the answers."""
    for name, sign in SCORE_FIELDS.items():
        if isinstance(answers[number], dict) and answers[number].get(name) is not None:
            return sign * _number(answers[number][name], f"{name} of {what}")
        for several in (f"{name}s", name):
            values = row.get(several)
            if isinstance(values, list):
                if len(values) != len(answers):
                    raise NotAPreference(f"field {several!r} has {len(values)} values for {len(answers)} answers")
                return sign * _number(values[number], f"{name} of {what}")
    raise NotAPreference(f"{what} has neither score nor rank")


def _number(value: Any, what: str) -> float:
    try:
        number = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise NotAPreference(f"the {what} is no number: {str(value)[:40]!r}")
    return number


def _known(answer: Any) -> dict[str, Any]:
    names = (*SCORE_FIELDS, "model")
    return {name: answer[name] for name in names if name in answer} if isinstance(answer, dict) else {}


def _side_by_side(chosen: dict, rejected: dict) -> dict[str, Any]:
    sides = {"chosen": chosen, "rejected": rejected}
    known = {side: {name: value for name, value in of.items() if value is not None} for side, of in sides.items()}
    return {side: of for side, of in known.items() if of}
