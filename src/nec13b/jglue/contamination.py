"""Which questions of the evaluation stand in training text: what `evaluation/contamination.py` does.

`recipes/clean_corpus.py --decontaminate` keeps them out of a corpus; this looks whether they are in anything that a
model was trained on, dialogues too, and changes nothing. corpus/decontamination.py says by what a question is found.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..corpus import Rejections, parse_sources, read_documents
from ..corpus.decontamination import ItemIndex, read_items
from ..corpus.normalisation import normalise
from ..corpus.sources import MAX_DOCUMENT_CHARACTERS
from ..dialogues.dialogue_sources import parse_dialogue_sources, read_dialogues
from ..errors import InputError
from ..run_record import RunRecord, fingerprint_of_file, write_json
from .questions import JCQA, JSQUAD, SAMPLE, question_files

RESULT_NAME, REJECTED_NAME = "contamination.json", "set_aside.jsonl"
PLACES_SHOWN = 5


@dataclass
class ContaminationConfig:
    """Which questions of an evaluation stand in training text."""

    corpus: list[str] = field(default_factory=list, metadata={"help": "Text, as recipes/clean_corpus.py takes it."})
    dialogues: list[str] = field(
        default_factory=list, metadata={"help": "Dialogues, as recipes/prepare_dialogues.py takes them."}
    )
    items: list[str] = field(
        default_factory=lambda: [SAMPLE],
        metadata={"help": "Files of questions (JGLUE's, Rakuda's, any JSONL), folders of JGLUE's files, or sample."},
    )
    output_dir: str = field(default="runs/contamination", metadata={"help": "Folder that the results go to."})

    def __post_init__(self):
        if not self.corpus and not self.dialogues:
            raise InputError("--corpus or --dialogues is missing: the text that a model was trained on")
        if not self.items:
            raise InputError("--items is missing: files of questions")

    def files(self) -> list[Path]:
        """The files of questions: of a folder those that are asked.

        Raises:
            InputError: a file or folder does not exist, or a folder holds no questions of JGLUE.
        """
        found = []
        for item in self.items:
            if item == SAMPLE or Path(item).is_dir():
                found += [question_files(item, name)["valid"] for name in (JSQUAD, JCQA)]
            else:
                found.append(Path(item))
        return found


def look(config: ContaminationConfig) -> dict:
    """Reads all text once, prints and writes; returns what is written.

    Raises:
        InputError: text or questions cannot be read.
    """
    record, output = RunRecord("contamination", config), Path(config.output_dir)
    items, file_of = [], {}
    for path in config.files():
        for item in read_items(path):
            items.append(item)
            file_of[item] = path.name
    index, rejections = ItemIndex(items), Rejections(output / REJECTED_NAME)
    found: dict[str, dict[str, dict]] = {path.name: {} for path in config.files()}
    texts = 0
    for place, text in _texts(config, rejections):
        texts += 1
        for _, _, owner, share in index.find(normalise(text)):
            item = index.items[owner]
            seen = found[file_of[item]].setdefault(
                item.name.split(":", 1)[1], {"question": item.question, "texts": 0, "places": []}
            )
            seen["texts"] += 1
            if len(seen["places"]) < PLACES_SHOWN:
                seen["places"].append({"text": place, "share": round(share, 3)})
    if not texts:
        raise InputError(f"there is no text to look through; set aside: {rejections or 'nothing'}")
    looked_for = {name: sum(file_of[item] == name for item in index.items) for name in found}
    result = {"texts": texts, "set_aside": dict(rejections.counts), "looked_for": looked_for,
              "too_short_to_look_for": len(index.not_checked), "found": found}  # fmt: skip
    print(*lines_of(result), sep="\n")
    write_json(output / RESULT_NAME, result)
    record.update("inputs", items={str(path): fingerprint_of_file(path) for path in config.files()})
    record.update("counts", texts=texts, found={name: len(ids) for name, ids in found.items()})
    record.write(output)
    print(f"\n{output / RESULT_NAME}   which, and where")
    return result


def lines_of(result: dict) -> list[str]:
    """What is printed: by file of questions, how many stand in the text, and the first of them."""
    lines = [f"{result['texts']:,} texts; questions found in them"]
    for name, ids in result["found"].items():
        of = result["looked_for"][name]
        lines.append(f"  {name}: {len(ids):,} of {of:,}" + (f" ({len(ids) / of:.2%})" if of else ""))
        for identifier, seen in list(ids.items())[:PLACES_SHOWN]:
            lines.append(
                f"    {identifier} in {seen['texts']:,}, first {seen['places'][0]['text']}: {seen['question'][:60]}"
            )
    if result["too_short_to_look_for"]:
        lines.append(f"  {result['too_short_to_look_for']:,} questions are too short to be looked for")
    if result["set_aside"]:
        lines.append(f"  set aside: {', '.join(f'{n:,} × {why}' for why, n in result['set_aside'].items())}")
    return lines


def _texts(config: ContaminationConfig, rejections: Rejections) -> Iterator[tuple[str, str]]:
    """(where it stands, the text) of every document and every dialogue."""
    if config.corpus:
        for document in read_documents(parse_sources(config.corpus), rejections):
            yield document.id, document.text
    if config.dialogues:
        sources = parse_dialogue_sources(config.dialogues)
        for placed in read_dialogues(sources, rejections, MAX_DOCUMENT_CHARACTERS):
            yield placed.dialogue.id, "\n".join(message["content"] for message in placed.dialogue.messages)
