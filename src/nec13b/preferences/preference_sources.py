"""Where preferences come from: the built-in sample, local files and folders, or a Hub data set, one string each.

    sample                                        original preferences written for this project, Japanese and English
    data/preferences                              a folder: every .jsonl, .parquet and .json file below it
    "data/*.jsonl.gz,ranked=all"                  a pattern, with options
    runs/annotation,pairs=runs/candidates         judgements.jsonl, and the pairs.jsonl that it judges
    hub:Anthropic/hh-rlhf,licence=MIT             whatever datasets.load_dataset can stream

Entries are read by the same code as those of dialogues. Nothing stops at a row that holds no preference: it is noted
with its line. A folder with a `judgements.jsonl` and its pairs is adjudicated now, by the rule of the settings; one
with a `preferences.jsonl`, as the annotation leaves it, is read for that alone.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ..corpus import Rejections
from ..corpus.reading import said
from ..dialogues.dialogue_shapes import NotADialogue
from ..dialogues.row_sources import (
    PREPARED_NAMES,
    RowPlace,
    RowSource,
    holds_lone_surrogate,
    numbered_rows,
    reject_row,
)
from ..errors import InputError
from .adjudication import AdjudicationRule, adjudicated, preference_of_pair
from .annotation_exports import judged_pairs
from .judgement_files import JUDGEMENTS_NAME, PAIRS_NAME, read_judgements, read_pairs
from .preference import Preference
from .preference_shapes import (
    RANKED,
    SHAPES,
    Fields,
    NobodyPreferred,
    WrittenPreference,
    preferences_of_row,
    shape_of_row,
)

PREFERENCES_NAME = "preferences.jsonl"
STRENGTHS = ("clear", "slight")
PREFERENCES_IN_A_ROW = 8  # several answers may be ranked in a line


@dataclass(frozen=True)
class PreferenceSource(RowSource):
    """One place that preferences are read from.

    Attributes:
        shape: one of SHAPES, for every row; empty: recognised row by row.
        prompt_field, chosen_field, rejected_field: what these are called, where they are called otherwise.
        ranked: of more than two ranked answers, the `best` one against the worst, or `all` pairs.
        pairs: of judgements, the file or folder of the pairs that they name. Default: beside them.
    """

    shape: str = ""
    prompt_field: str = ""
    chosen_field: str = "chosen"
    rejected_field: str = "rejected"
    ranked: str = "best"
    pairs: str = ""

    of: ClassVar[str] = "preferences"
    sample_package: ClassVar[str] = "nec13b.preferences"

    def __post_init__(self):
        self.check_option("shape", SHAPES)
        self.check_option("ranked", RANKED)

    def files(self) -> list[tuple[str, str]]:
        if judged := self.judged_files():
            return [(str(path), self.label) for path in judged]
        if not self.hub_name and is_annotated(self.location):
            return [(str(Path(self.location).expanduser().absolute() / PREFERENCES_NAME), self.label)]
        return super().files()

    def judged_files(self) -> tuple[Path, Path] | None:
        """The pairs and the judgements of an entry that names such; raises InputError where one is missing."""
        if self.hub_name or self.is_sample:
            return None
        path = Path(self.location).expanduser().absolute()
        judgements = path / JUDGEMENTS_NAME if path.is_dir() else path
        pairs = Path(self.pairs).expanduser().absolute() if self.pairs else judgements.with_name(PAIRS_NAME)
        pairs = pairs / PAIRS_NAME if pairs.is_dir() else pairs
        named = judgements.name == JUDGEMENTS_NAME or bool(self.pairs)
        if named and judgements.is_file() and pairs.is_file():
            return pairs, judgements
        if self.pairs:
            missing = judgements if not judgements.is_file() else pairs
            raise InputError(f"preferences entry {self.location!r}: {missing} does not exist")
        if path.name == JUDGEMENTS_NAME and path.is_file():
            raise InputError(
                f"preferences entry {self.location!r}: no {PAIRS_NAME} beside it; name the pairs with pairs=PATH"
            )
        return None


def is_annotated(entry: Any) -> bool:
    """Whether an entry names a folder with the `preferences.jsonl` of an annotation, and not a preparation."""
    if not isinstance(entry, (str, os.PathLike)):
        return False
    folder = Path(entry).expanduser()
    return (folder / PREFERENCES_NAME).is_file() and not (folder / PREPARED_NAMES[0]).is_file()


@dataclass(frozen=True)
class PlacedPreference:
    """A preference with where it stands, so that what is wrong with it can be told.

    Attributes:
        preference: it.
        place: the file, or the name of the data set.
        row: the line of a text file, or the number of a row; None where there is neither.
    """

    preference: Preference
    place: str
    row: int | None


def parse_preference_sources(entries: Any) -> list[PreferenceSource]:
    """The sources of a `preferences:` setting: one string or mapping, or a list of them; raises InputError."""
    return PreferenceSource.parse_all(entries)


def read_preferences(
    sources: list[PreferenceSource], rejections: Rejections, rule: AdjudicationRule, max_characters: int
) -> Iterator[PlacedPreference]:
    """Streams the preferences of all sources in a fixed order, as they are written; nothing in them is judged.

    Args:
        sources: from `parse_preference_sources`.
        rejections: takes note of every row and file that cannot be used, and of the pairs without a winner.
        rule: by which judgements make a preference.
        max_characters: of a prompt with an answer; a line of far more is not even read into memory.

    Raises:
        InputError: a source does not exist or cannot be opened at all, or a file of judgements is broken.
    """
    for source in sources:
        reader = _SourceReader(source, rejections, rule)
        if judged := source.judged_files():
            yield from reader.adjudicated(*judged)
            continue
        for at, row in numbered_rows(source.rows(rejections, PREFERENCES_IN_A_ROW * max_characters)):
            yield from reader.of_row(row, at)


@dataclass
class _SourceReader:
    source: PreferenceSource
    rejections: Rejections
    rule: AdjudicationRule

    def adjudicated(self, pairs: Path, judgements: Path) -> Iterator[PlacedPreference]:
        outcome = adjudicated(read_pairs(pairs), read_judgements(judgements), self.rule)
        for undecided in outcome.undecided:
            at = RowPlace(str(judgements), self.source.label, None)
            self._reject(at, undecided.reason, f"pair {undecided.pair}: {undecided.detail}", undecided.pair)
        for preference in outcome.preferences:
            own = replace(
                preference,
                source=self.source.label,
                language=preference.language or self.source.language,
                licence=preference.licence or self.source.licence,
                provenance=preference.provenance | ({"prompt_source": preference.source} if preference.source else {}),
            )
            yield from self._usable(own, RowPlace(str(pairs), self.source.label, None), own.id)

    def of_row(self, row: Any, at: RowPlace) -> Iterator[PlacedPreference]:
        """The preferences of a row, of which several answers may make several."""
        fields = Fields(self.source.prompt_field, self.source.chosen_field, self.source.rejected_field)
        try:
            shape = self.source.shape or shape_of_row(row, fields)
            if not isinstance(row, dict):
                raise NotADialogue("a row is an object")
            if shape in ("argilla", "label_studio"):
                preferences = list(self._exported(row, shape, at))
            else:
                written = preferences_of_row(row, shape, self.source.ranked, fields)
                several = len(written) > 1
                preferences = [
                    self._preference(row, each, f"{at.id}#{number}" if several else at.id)
                    for number, each in enumerate(written, start=1)
                ]
        except NobodyPreferred as undecided:
            self._reject(at, undecided.reason, undecided.detail, row)
        except NotADialogue as error:
            self._reject(at, "not a preference", str(error), row)
        else:
            for preference in preferences:
                yield from self._usable(preference, at, row)

    def _exported(self, row: dict, shape: str, at: RowPlace) -> Iterator[Preference]:
        for pair, judgements, graded in judged_pairs(row, shape, self.source.ranked, at.id):
            outcome = preference_of_pair(pair, judgements, self.rule)
            if not isinstance(outcome, Preference):
                self._reject(at, outcome.reason, outcome.detail, row)
                continue
            # Where nobody said how much better an answer is, neither the mean nor the strength says it.
            left_out = () if graded else ("mean_score",)
            provenance = {name: value for name, value in outcome.provenance.items() if name not in left_out}
            written = WrittenPreference(outcome.prompt, outcome.chosen, outcome.rejected, provenance)
            preference = self._preference(row, written, pair.id)
            yield replace(preference, strength=outcome.strength) if graded else preference

    def _preference(self, row: dict, written: WrittenPreference, own_id: str) -> Preference:
        known = row.get("provenance") if isinstance(row.get("provenance"), dict) else {}
        strength = row.get("strength")
        return Preference(
            written.prompt,
            written.chosen,
            written.rejected,
            # What was judged keeps the name by which its pair is known.
            id=(said(row, "id") if known else "") or own_id,
            source=self.source.label,
            language=said(row, "language", "lang") or self.source.language,
            licence=said(row, "licence", "license") or self.source.licence,
            strength=strength if strength in STRENGTHS else "",
            provenance={**written.provenance, **known},
        )

    def _usable(self, preference: Preference, at: RowPlace, row: Any) -> Iterator[PlacedPreference]:
        for part in ("prompt", "chosen", "rejected", "provenance"):
            if holds_lone_surrogate(getattr(preference, part)):
                self._reject(at, "lone surrogate", f"its {part} is not valid Unicode", ascii(row))
                return
        yield PlacedPreference(preference, at.file, at.row)

    def _reject(self, at: RowPlace, reason: str, detail: str, row: Any) -> None:
        reject_row(self.rejections, at, reason, detail, row, self.source.label)
