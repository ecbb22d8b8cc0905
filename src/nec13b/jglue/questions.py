"""The questions of JSQuAD and JCommonsenseQA: of JGLUE's own files on this machine, of the Hub's parquet copies, of the
files in JGLUE's repository where the Hub has none, or of the built-in sample.

JGLUE's files are read as they are published (`train-v1.1.json`, gzip or not), without any loading script. Whoever wants
the examples of 2023 takes them of the tag v1.1.0, since v1.3 has other JSQuAD training questions:
`git clone --depth 1 --branch v1.1.0 https://github.com/yahoojapan/JGLUE`, and names its folder `datasets`.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, one_line

FOLDER_VARIABLE = "NEC13B_JGLUE"
SAMPLE = "sample"
SAMPLE_FOLDER = Path(__file__).parent / "sample"
JSQUAD, JCQA = "jsquad", "jcommonsenseqa"
HUB_NAMES = {JSQUAD: "sbintuitions/JSQuAD", JCQA: "sbintuitions/JCommonsenseQA"}
# The release of 2023, whose training questions the harnesses of that year drew their examples from.
RAW_FILES = "https://raw.githubusercontent.com/yahoojapan/JGLUE/v1.1.0/datasets/{name}-v1.1/{split}-v1.1.json"
# What `identity` says of the validation questions of JGLUE. The files are the same in all releases from v1.0 to v1.3.
KNOWN = {
    "5a5e23fb5a0827a8": "JSQuAD's validation questions, v1.0 to v1.3",
    "d9a9cf6b9d1c2300": "JCommonsenseQA's validation questions, v1.0 to v1.3",
}
OWN_FOLDER = f"name a folder of JGLUE's files by the setting jglue or ${FOLDER_VARIABLE}"
Row = dict[str, Any]


@dataclass(frozen=True)
class Questions:
    """What a task asks, and what its examples are drawn from.

    Attributes:
        asked: the questions, in the order of the file. JSQuAD's have `id`, `title`, `context`, `question`, `answers`
            (texts, two or three) and `first_answer`; JCommonsenseQA's `id`, `question`, `choices`, `label` (an index)
            and `label_text`.
        pool: solved questions of the same form.
        asked_from: where the questions are from, with what is known of them.
        pool_from: where the pool is from; it says so where that is not the training split.
    """

    asked: list[Row]
    pool: list[Row]
    asked_from: str
    pool_from: str


def read_questions(name: str, folder: str | None = None, revision: str | None = None) -> Questions:
    """The validation questions of a data set, and the pool of examples.

    Args:
        name: `jsquad` or `jcommonsenseqa`.
        folder: of JGLUE's files, or `sample`; None takes what NEC13B_JGLUE names, without it the Hub's copies, and
            where these cannot be had and no commit was asked for, the files of JGLUE's repository.
        revision: commit of the Hub's copy.

    Raises:
        InputError: a file is missing, doubled or damaged, or neither Hub nor repository can be reached.
    """
    folder = folder or os.environ.get(FOLDER_VARIABLE) or None
    splits = _of_hub(name, revision) if folder is None else _of_folder(name, folder)
    asked, place = splits["valid"]
    pool, pool_from = splits.get("train") or splits["test"]
    if "train" not in splits:
        pool_from += " (the test split: there is no training split)"
    said = KNOWN.get(identity(asked), "no published version that is known here")
    return Questions(asked, pool, f"{place} ({said})", pool_from)


def without_asked(pool: list[Row], asked: list[Row]) -> list[Row]:
    """The pool without questions that are asked, in the same words: 17 of JCommonsenseQA's are."""
    texts = {row["question"] for row in asked}
    return [row for row in pool if row["question"] not in texts]


def identity(rows: list[Row]) -> str:
    """A fingerprint of what is asked and what is right, whatever file or table it came from: 16 hexadecimal digits."""
    said = [
        [row["question"], row.get("context"), row.get("answers"), row.get("choices"), row.get("label")] for row in rows
    ]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()[:16]


def question_files(folder: str, name: str) -> dict[str, Path]:
    """The files of a data set by split: `jsquad-v1.1/valid-v1.1.json` or `jsquad-v1.3-valid.json.gz`.

    Raises:
        InputError: there is no such folder, nothing to ask or to take examples from, or a split in two versions.
    """
    place = SAMPLE_FOLDER if folder == SAMPLE else Path(folder)
    if not place.is_dir():
        raise InputError(f"the folder of JGLUE's files, {place}, does not exist (setting jglue, or ${FOLDER_VARIABLE})")
    found: dict[str, Path] = {}
    for split in ("train", "valid", "test"):
        forms = (f"{name}-v*/{split}-v*.json*", f"{name}-*-{split}.json*")
        files = sorted(path for form in forms for path in place.glob(form) if path.suffix in (".json", ".gz"))
        if len(files) > 1:
            raise InputError(f"{place} holds {name} {split} in several files ({', '.join(map(str, files))}); leave one")
        if files:
            found[split] = files[0]
    if "valid" not in found or not ("train" in found or "test" in found):
        raise InputError(
            f"{place} lacks files of {name}: a valid file, and a train or test file, named as JGLUE names them "
            f"({name}-v1.1/valid-v1.1.json) or {name}-v1.1-valid.json, .gz or not"
        )
    return found


def _of_folder(name: str, folder: str) -> dict[str, tuple[list[Row], str]]:
    reader: Callable[[Path], list[Row]] = {JSQUAD: read_jsquad, JCQA: read_jcqa}[name]
    files = question_files(folder, name)
    wanted = ["valid", "train" if "train" in files else "test"]
    return {split: (reader(files[split]), files[split].name) for split in wanted}


def _of_hub(name: str, revision: str | None) -> dict[str, tuple[list[Row], str]]:
    from datasets import load_dataset

    row_of = {JSQUAD: _jsquad_row, JCQA: _jcqa_row}[name]
    hub_name = HUB_NAMES[name]
    found = {}
    for split, theirs in (("valid", "validation"), ("train", "train")):
        place = f"{hub_name}{f'@{revision}' if revision else ''}:{theirs}"
        try:
            rows = list(load_dataset(hub_name, split=theirs, revision=revision))
        except Exception as error:  # the Hub's client raises many kinds: no network, no such data set, no such split
            reason = f"cannot load {place} from the Hub ({_said(error)})"
            if revision:
                raise InputError(f"{reason}; {OWN_FOLDER}") from error
            return _of_repository(name, reason)
        found[split] = ([row_of(row, f"{place} row {n}") for n, row in enumerate(rows, 1)], place)
    return found


def _of_repository(name: str, why: str) -> dict[str, tuple[list[Row], str]]:
    """The files of JGLUE's repository; datasets keeps them among its downloads."""
    from datasets import DownloadManager

    reader: Callable[[Path], list[Row]] = {JSQUAD: read_jsquad, JCQA: read_jcqa}[name]
    found = {}
    for split in ("valid", "train"):
        address = RAW_FILES.format(name=name, split=split)
        try:
            path = DownloadManager().download(address)
        except Exception as error:  # as many kinds as the Hub's
            raise InputError(f"{why}, nor {address} ({_said(error)}); {OWN_FOLDER}") from error
        found[split] = (reader(Path(path)), address)
    return found


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error, 200)}"


def read_jsquad(path: Path) -> list[Row]:
    """The questions of a file in SQuAD's form.

    Raises:
        InputError: the file cannot be read, or a question lacks something.
    """
    try:
        articles = json.loads(_text(path))["data"]
        entries = [(a["title"], p["context"], q) for a in articles for p in a["paragraphs"] for q in p["qas"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not in SQuAD's form: {type(error).__name__} {error}") from None
    rows = [
        _jsquad_row({"title": title, "context": context, **entry}, f"{path} question {number}")
        for number, (title, context, entry) in enumerate(entries, 1)
    ]
    if not rows:
        raise InputError(f"{path} holds no question")
    return rows


def read_jcqa(path: Path) -> list[Row]:
    """The questions of a JCommonsenseQA file, one JSON object a line.

    Raises:
        InputError: the file cannot be read, or a question lacks something.
    """
    rows = []
    for number, line in _lines(path):
        place = f"{path} line {number}"
        try:
            rows.append(_jcqa_row(json.loads(line), place))
        except ValueError as error:
            raise InputError(f"{place} is not JSON: {error}") from None
    if not rows:
        raise InputError(f"{path} holds no question")
    return rows


def _jsquad_row(entry: Row, place: str) -> Row:
    answers = entry.get("answers")
    texts = answers.get("text") if isinstance(answers, dict) else [a.get("text") for a in answers or ()]
    fields = {key: entry.get(key) for key in ("id", "title", "context", "question")}
    for key, value in {**fields, "answers": texts[0] if texts else None}.items():
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{place} has no text in its field '{key}'")
    # A context is "title [SEP] passage".
    passage = fields["context"].split("[SEP]")[-1].strip()
    return {**fields, "context": passage, "answers": texts, "first_answer": texts[0]}


def _jcqa_row(entry: Row, place: str) -> Row:
    choices, label = [entry.get(f"choice{i}") for i in range(5)], entry.get("label")
    for key, value in {"question": entry.get("question"), **{f"choice{i}": c for i, c in enumerate(choices)}}.items():
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{place} has no text in its field '{key}'")
    if not isinstance(label, int) or not 0 <= label < 5:
        raise InputError(f"{place} has no label from 0 to 4 (the test split of v1.0 to v1.2 has none)")
    identifier = str(entry.get("q_id", place))
    return {
        "id": identifier,
        "question": entry["question"],
        "choices": choices,
        "label": label,
        "label_text": str(label),
    }


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(_text(path).splitlines(), 1) if line.strip())
