"""The steps of the cleansing as datatrove blocks, for our pipeline or your own.

Between the blocks a row's metadata says where the document comes from and what has been found out about it; a row that
is dropped goes to the block's exclusion writer with `reason` (a name to count by) and `detail` (a sentence for
people).
"""

import dataclasses
from pathlib import Path

import orjson
from datatrove.data import Document as Row
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers import JsonlWriter
from datatrove.pipeline.writers.disk_base import DiskWriter

from ..run_record import write_json
from .boilerplate import boilerplate_spans, cut_spans
from .documents import CODE, Document, Rejections, is_held_out
from .file_formats import open_file
from .languages import identify_language
from .mojibake import broken_spans, repair_mojibake
from .normalisation import normalise
from .personal_data import mask_personal_data
from .phrases import PhraseLists
from .quality import QualityClassifier
from .reading import read_part
from .rules import RuleSet
from .sources import Part

MOST_SPANS = 50  # that are noted of a rejected document
# What is written of a document in any case, and what only where it says something.
ALWAYS = ("domain", "source", "language", "licence")
IF_ANY = (
    "source_id", "url", "group", "split", "kind", "quality", "cut_lines", "masked", "repaired",
    "reason", "detail", "spans", "items",
)  # fmt: skip


def part_file(folder: str | Path, part: int) -> Path:
    """Where the rows of a part lie in a folder of rows."""
    return Path(folder) / f"{part:05d}.jsonl.zst"


def row_as_written(row: Row) -> dict:
    """What is written of a row: `id`, `text`, and of its metadata what says something."""
    written = {"id": row.id, "text": row.text, **{name: row.metadata.get(name, "") for name in ALWAYS}}
    return written | {name: value for name in IF_ANY if (value := row.metadata.get(name, "")) != ""}


class RowWriter(JsonlWriter):
    """Writes rows as JSONL, compressed by zstandard (gzip would write the time, and the same rows give other bytes).

    Args:
        folder: where the files go, one a part.
        file_name: the name within the folder; `${rank}` stands for the part, `${x}` for metadata.
    """

    name = "rows"

    def __init__(self, folder: str | Path, file_name: str = "${rank}.jsonl"):
        super().__init__(str(folder), file_name, compression="zstd")

    def _default_adapter(self, document: Row) -> dict:
        return row_as_written(document)


class ReadParts(PipelineStep):
    """Reads the documents of the task's part; what cannot be read is noted, what was read is counted.

    Args:
        parts: the parts of the corpus; task i reads part i.
        unreadable: folder for what cannot be read, one file a part that has any.
        counts: folder for what was read, one JSON file a part.
        max_document_characters: longer documents are set aside.
    """

    type = "📖 - READER"
    name = "parts"

    def __init__(self, parts: list[Part], unreadable: Path, counts: Path, max_document_characters: int):
        super().__init__()
        self.parts, self.unreadable, self.counts = parts, unreadable, counts
        self.max_document_characters = max_document_characters

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        rejections = Rejections(self.unreadable / f"{rank:05d}.jsonl")
        counts: dict[str, list[int]] = {}
        documents = read_part(self.parts[rank], rejections, self.max_document_characters, guess_domain=lambda text: "")
        for document in documents:
            self.stat_update("documents")
            count = counts.setdefault(document.source, [0, 0])
            count[0] += 1
            count[1] += len(document.text)
            yield row_of_document(document)
        for reason, count in rejections.counts.items():
            self.stat_update(f"unreadable: {reason}", value=count)
        write_json(
            self.counts / f"{rank:05d}.json",
            {"sources": dict(sorted(counts.items())), "unreadable": dict(sorted(rejections.counts.items()))},
        )


def row_of_document(document: Document) -> Row:
    """The row of a document."""
    fields = {name: getattr(document, name) for name in
              ("domain", "source", "source_id", "url", "group", "language", "licence", "split", "kind")}  # fmt: skip
    return Row(document.text, document.id, metadata={"site": document.site, **fields})


def document_of_row(row: Row) -> Document:
    """The document that a row stands for."""
    names = {field.name for field in dataclasses.fields(Document)} - {"text", "id"}
    return Document(row.text, id=row.id, **{name: row.metadata[name] for name in names if name in row.metadata})


class ReadRows(PipelineStep):
    """Reads back the rows of the task's part that an earlier stage has written, each with its number as `row`.

    Args:
        folder: the folder of a RowWriter.
    """

    type = "📖 - READER"
    name = "rows"

    def __init__(self, folder: str | Path):
        super().__init__()
        self.folder = Path(folder)

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        for number, fields in enumerate(read_rows(part_file(self.folder, rank))):
            text, identifier = fields.pop("text"), fields.pop("id")
            row = Row(text, identifier, metadata={"row": number, **fields})
            row.metadata["site"] = document_of_row(row).site
            yield row


def read_rows(path: Path):
    """The rows of a file as mappings; none where there is no such file."""
    if path.is_file():
        with open_file(path) as file:
            yield from map(orjson.loads, file)


class Reject(BaseFilter):
    """A filter whose verdict has a reason, a detail, and, where it lies in some place, that place."""

    def reject(self, row: Row, reason: str, detail: str, spans: list[tuple[int, int]] = ()) -> tuple[bool, str]:
        row.metadata["reason"], row.metadata["detail"] = reason, detail
        if spans:
            row.metadata["spans"] = [[start, end] for start, end in spans[:MOST_SPANS]]
        return False, reason


class RepairEncoding(Reject):
    """Undoes mix-ups of encodings, and drops documents that stay broken. Source code is passed by.

    Args:
        max_broken_share: share of broken characters, 0 to 1, up to which a document is kept.
        exclusion_writer: takes the documents that are dropped.
    """

    name = "broken_encoding"

    def __init__(self, max_broken_share: float, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.max_broken_share = max_broken_share

    def filter(self, row: Row) -> bool | tuple[bool, str]:
        if row.metadata["domain"] == CODE:
            return True
        text, share = repair_mojibake(row.text)
        if text is not row.text:
            row.text = text
            row.metadata["repaired"] = True
            self.stat_update("repaired")
        if share <= self.max_broken_share:
            return True
        detail = f"{share:.1%} of the characters are traces of a wrong encoding"
        return self.reject(row, self.name, detail, broken_spans(text))


class NormaliseText(Reject):
    """Passes text through `normalise`, and drops documents of which nothing is left. Source code is passed by."""

    name = "empty"

    def filter(self, row: Row) -> bool | tuple[bool, str]:
        if row.metadata["domain"] != CODE:
            row.text = normalise(row.text)
        if row.text.strip():
            return True
        return self.reject(row, self.name, "nothing but control characters and spaces")


class CheckLanguage(Reject):
    """Finds out the language, and drops documents that are in none of the wanted ones, or not in that of their domain.

    A document without a domain gets its language for one. Domains that are no language (a name of the user's own) take
    any of the wanted languages; source code is passed by.

    Args:
        languages: the wanted ISO 639 codes.
        min_probability: how sure the identification must be, 0 to 1.
        exclusion_writer: takes the documents that are dropped.
    """

    name = "language"

    def __init__(self, languages: list[str], min_probability: float, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.languages, self.min_probability = list(languages), min_probability

    def filter(self, row: Row) -> bool | tuple[bool, str]:
        domain = row.metadata["domain"]
        if domain == CODE:
            return True
        language, probability = identify_language(row.text)
        row.metadata["language"] = language
        self.stat_update(language)
        if not domain:
            row.metadata["domain"] = language if language in self.languages else ""
        wanted = [domain] if domain in self.languages else self.languages
        if language not in wanted:
            return self.reject(row, self.name, f"{language} (probability {probability:.2f}), not {' or '.join(wanted)}")
        if probability < self.min_probability:
            return self.reject(row, self.name, f"probability of {language} {probability:.2f} is below "
                                               f"{self.min_probability:g}")  # fmt: skip
        return True


class CutBoilerplate(Reject):
    """Cuts lines of navigation and notices, and drops documents of which nothing is left. Source code is passed by.

    Args:
        phrases: the word lists.
        exclusion_writer: takes the documents that are dropped.
    """

    name = "boilerplate"

    def __init__(self, phrases: PhraseLists, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.phrases = phrases

    def filter(self, row: Row) -> bool | tuple[bool, str]:
        if row.metadata["domain"] == CODE:
            return True
        spans = boilerplate_spans(row.text, self.phrases)
        if not spans:
            return True
        self.stat_update("cut_lines", value=len(spans))
        text = cut_spans(row.text, spans).strip("\n")
        if not text.strip():
            return self.reject(row, self.name, "nothing but navigation and notices", spans)
        row.metadata["cut_lines"] = len(spans)
        row.text = text
        return True


class ApplyRules(Reject):
    """Drops a document for the first rule of its domain that it breaks; where a domain has none, those of its language.

    Args:
        rule_sets: the rules of each domain.
        exclusion_writer: takes the documents that are dropped.
    """

    name = "rules"

    def __init__(self, rule_sets: dict[str, RuleSet], exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.rule_sets = rule_sets

    def filter(self, row: Row) -> bool | tuple[bool, str]:
        rules = rules_for(self.rule_sets, row.metadata["domain"], row.metadata.get("language", ""))
        verdict = rules.first_broken(row.text) if rules else None
        return True if verdict is None else self.reject(row, verdict.name, str(verdict))


def rules_for(rule_sets: dict[str, RuleSet], domain: str, language: str) -> RuleSet | None:
    """The rules of a domain, or, where it has none of its own, of the language."""
    return rule_sets.get(domain) or rule_sets.get(language)


class ScoreQuality(Reject):
    """Scores documents by the classifier of their domain, and drops those below its threshold.

    Args:
        classifiers: the classifier of each domain; others are passed by.
        exclusion_writer: takes the documents that are dropped.
    """

    name = "quality"

    def __init__(self, classifiers: dict[str, QualityClassifier], exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.classifiers = classifiers

    def filter(self, row: Row) -> bool | tuple[bool, str]:
        classifier = self.classifiers.get(row.metadata["domain"])
        if classifier is None:
            return True
        score = classifier.clean_probability(row.text)
        row.metadata["quality"] = round(score, 4)
        if score >= classifier.threshold:
            return True
        return self.reject(row, self.name, f"probability of being clean {score:.3f} is below {classifier.threshold:g}")


class MaskPersonalData(PipelineStep):
    """Masks mail addresses, phone numbers, postal codes and card numbers, and counts them. Source code is passed by."""

    type = "✂️ - FORMAT"
    name = "personal_data"

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        for row in data:
            if row.metadata["domain"] != CODE:
                with self.track_time():
                    row.text, counts = mask_personal_data(row.text)
                if counts:
                    row.metadata["masked"] = dict(sorted(counts.items()))
                    for kind, count in counts.items():
                        self.stat_update(kind, value=count)
            yield row


class AssignSplit(PipelineStep):
    """Decides which documents are kept for evaluation and which are long; the writer's file name follows from it.

    Args:
        held_out_fraction: share of the groups, 0 to 1, by hash.
        long_document_characters: from which length on a document is long.
    """

    type = "✂️ - FORMAT"
    name = "split"

    def __init__(self, held_out_fraction: float, long_document_characters: int):
        super().__init__()
        self.held_out_fraction, self.long_document_characters = held_out_fraction, long_document_characters

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        for row in data:
            held_out = is_held_out(document_of_row(row), self.held_out_fraction)
            row.metadata["split"] = "held_out" if held_out else "train"
            row.metadata["length"] = "long" if len(row.text) >= self.long_document_characters else "short"
            self.stat_update(f"{row.metadata['split']} {row.metadata['length']}")
            yield row
