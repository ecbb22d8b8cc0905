"""Where dialogues come from: the built-in sample, local files and folders, or a Hub data set, named by one string each.

    sample                                            original dialogues written for this project, Japanese and English
    data/chats                                        a folder: every .jsonl, .parquet and .json file below it
    "data/*.jsonl.gz"                                 a pattern
    faq.parquet,prompt_field=toi,answer_field=kotae   a file, with options
    oasst.jsonl.gz,branches=all                       OpenAssistant's trees, every branch of them
    hub:OpenAssistant/oasst2,licence=Apache-2.0       whatever datasets.load_dataset can stream

Entries are written as those of a corpus (`corpus/sources.py`) and read by the same code. Nothing stops at a row that
holds no dialogue: it is noted with its line.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..corpus import Rejections
from ..corpus.file_formats import Rows
from ..corpus.reading import said
from .assistant_trees import BRANCHES, TreeMessage, nested_tree, paths_of_tree, trees_of_table
from .dialogue import Dialogue
from .dialogue_shapes import SHAPES, NotADialogue, messages_of_row, shape_of_row
from .row_sources import RowPlace, RowSource, holds_lone_surrogate, numbered_rows, reject_row

DIALOGUES_IN_A_ROW = 32  # a tree has many branches in a line


@dataclass(frozen=True)
class DialogueSource(RowSource):
    """One place that dialogues are read from.

    Attributes:
        shape: one of SHAPES, for every row; empty: recognised row by row.
        prompt_field, answer_field: the fields of a prompt and its answer, where they are called otherwise.
        branches: of trees, the `best` branch or `all`.
    """

    shape: str = ""
    prompt_field: str = ""
    answer_field: str = ""
    branches: str = "best"

    of: ClassVar[str] = "dialogues"
    sample_package: ClassVar[str] = "nec13b.dialogues"

    def __post_init__(self):
        self.check_option("shape", SHAPES)
        self.check_option("branches", BRANCHES)


@dataclass(frozen=True)
class Placed:
    """A dialogue with where it stands, so that what is wrong with it can be told.

    Attributes:
        dialogue: it.
        place: the file, or the name of the data set.
        row: the line of a text file, or the number of a row; None where there is neither.
    """

    dialogue: Dialogue
    place: str
    row: int | None


def parse_dialogue_sources(entries: Any) -> list[DialogueSource]:
    """The sources of a `dialogues:` setting: one string or mapping, or a list of them; raises InputError."""
    return DialogueSource.parse_all(entries)


def read_dialogues(sources: list[DialogueSource], rejections: Rejections, max_characters: int) -> Iterator[Placed]:
    """Streams the dialogues of all sources in a fixed order, as they are written; nothing in them is judged.

    Only a table of tree messages is held in memory, since its rows may come in any order.

    Args:
        sources: from `parse_dialogue_sources`.
        rejections: takes note of every row and file that cannot be used.
        max_characters: of a dialogue; a line of far more is not even read into memory.

    Raises:
        InputError: a source does not exist or cannot be opened at all.
    """
    for source in sources:
        parts = source.rows(rejections, DIALOGUES_IN_A_ROW * max_characters)
        yield from _SourceReader(source, rejections).dialogues(parts)


@dataclass
class _SourceReader:
    source: DialogueSource
    rejections: Rejections
    # Rows of a table of tree messages; a tree may run over several files.
    table: list[tuple[RowPlace, dict]] = field(default_factory=list)

    def dialogues(self, parts: list[tuple[str, str, Rows]]) -> Iterator[Placed]:
        for at, row in numbered_rows(parts):
            try:
                yield from self._of_row(row, at)
            except NotADialogue as error:
                self._reject(at, "not a dialogue", str(error), row)
        for tree in trees_of_table(self.table, self._reject):
            # A path is called by the row of its last answer, which no other path has.
            yield from self._of_tree(tree, {}, lambda path, _: path[-1].at.id)

    def _of_row(self, row: Any, at: RowPlace) -> Iterator[Placed]:
        shape = self.source.shape
        if not shape and not (self.source.prompt_field or self.source.answer_field):
            shape = shape_of_row(row)
        if shape == "oasst_table":
            if not isinstance(row, dict) or not {"message_id", "parent_id"} <= row.keys():
                raise NotADialogue("no fields 'message_id' and 'parent_id'")
            self.table.append((at, row))
        elif shape == "oasst":
            if not isinstance(row, dict) or not isinstance(row.get("prompt"), dict):
                raise NotADialogue("no tree in field 'prompt'")
            several = self.source.branches == "all"
            tree = nested_tree(row, at)
            yield from self._of_tree(tree, row, lambda _, number: f"{at.id}#{number}" if several else at.id)
        else:
            messages = messages_of_row(row, shape, self.source.prompt_field, self.source.answer_field)
            written = row if isinstance(row, dict) else {}
            provenance = written.get("provenance") if isinstance(written.get("provenance"), dict) else {}
            # What an amplification wrote keeps the name by which its record knows it.
            own_id = (said(written, "id") if provenance else "") or at.id
            yield from self._usable(self._dialogue(messages, own_id, written, provenance), at, row)

    def _of_tree(self, tree: TreeMessage, written: dict, id_of: Callable[[list, int], str]) -> Iterator[Placed]:
        paths = paths_of_tree(tree, self.source.branches)
        if not paths:
            self._reject(tree.at, "unanswered", "nobody answered in this tree", tree.message["content"])
        for number, path in enumerate(paths, start=1):
            messages = [step.message for step in path]
            dialogue = self._dialogue(messages, id_of(path, number), written, {}, tree.language)
            yield from self._usable(dialogue, path[-1].at, messages)

    def _dialogue(self, messages, own_id: str, written: dict, provenance: dict, language: str = "") -> Dialogue:
        return Dialogue(
            messages,
            id=own_id,
            source=self.source.label,
            language=language or said(written, "language", "lang") or self.source.language,
            licence=said(written, "licence", "license") or self.source.licence,
            provenance=provenance,
        )

    def _usable(self, dialogue: Dialogue, at: RowPlace, row: Any) -> Iterator[Placed]:
        for number, message in enumerate(dialogue.messages, start=1):
            if holds_lone_surrogate(message):
                self._reject(at, "lone surrogate", f"message {number} is not valid Unicode", ascii(row))
                return
        if holds_lone_surrogate(dialogue.provenance):
            self._reject(at, "lone surrogate", "its provenance is not valid Unicode", ascii(row))
            return
        yield Placed(dialogue, at.file, at.row)

    def _reject(self, at: RowPlace, reason: str, detail: str, row: Any) -> None:
        reject_row(self.rejections, at, reason, detail, row, self.source.label)
