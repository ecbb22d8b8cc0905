"""The cleansing of a corpus (section 3 of the paper), put together from datatrove blocks: from raw text to documents.

    filter              read, repair, normalise, language, boilerplate, rules, quality, personal data
    exact, near, lines  hashes and signatures of what is left; duplicates and repeated lines are found by sorting them
    finish              drop duplicates, cut the lines that a site repeats, decontaminate, split, write
    tally, report       count what lies there, plan the mixture, draw the page

One task works on one part of the corpus (a file, or some small ones), so what comes out does not depend on the number
of workers or on the executor, and a run that was killed goes on with the tasks that were not finished.
"""

import os
import shutil
from pathlib import Path

from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import MinhashDedupBuckets

from ..errors import InputError
from ..run_record import alone_in, read_json, write_json
from .blocks import (
    ApplyRules,
    AssignSplit,
    CheckLanguage,
    CutBoilerplate,
    MaskPersonalData,
    NormaliseText,
    ReadParts,
    ReadRows,
    RepairEncoding,
    RowWriter,
    ScoreQuality,
)
from .cleaning_config import CleanCorpusConfig, CleaningInputs
from .decontamination import DropContaminated
from .duplicates import DropDuplicates, FindExactDuplicates, WriteTextHashes
from .near_duplicates import KeepFirstOfCluster, WriteMinhashSignatures
from .repeated_lines import CutRepeatedLines, FindRepeatedLines, WriteLineHashes
from .report import WriteReport, report_with_mixture
from .sources import CLEAN_DOCUMENTS_NAME, CLEAN_MARK_NAME, CLEAN_REQUEST_NAME
from .stages import AllowManyFiles, Stage, run_stages
from .tally import TallyPart

# What drops documents, in order; each has a folder of that name in rejected/.
STEPS = (
    "broken_encoding", "empty", "language", "boilerplate", "rules", "quality",
    "exact_duplicates", "near_duplicates", "repeated_lines", "decontamination",
)  # fmt: skip
MADE = (
    CLEAN_REQUEST_NAME, CLEAN_MARK_NAME, CLEAN_DOCUMENTS_NAME, "rejected", "unreadable", "work", "logs",
    "report.html", "report.json", "run.json",
)  # fmt: skip


def claim_clean_dir(config: CleanCorpusConfig, request: dict) -> bool:
    """Makes sure that a run may write into its folder: a new one, an empty one, or that of the same run.

    A run that is to replace another throws away what lies there. Where the other is the same but has not ended, that
    may be the replacement itself, interrupted, and is gone on with.

    Args:
        config: the settings.
        request: what decides the documents, from `CleaningInputs`.

    Returns:
        Whether the folder holds this run, complete.

    Raises:
        InputError: the folder holds other files, or another run.
    """
    output = Path(config.output_dir)
    note, mark = output / CLEAN_REQUEST_NAME, output / CLEAN_MARK_NAME
    check_clean_dir(output)
    before = read_json(note, "recipes/clean_corpus.py") if note.is_file() else {}
    changed = [name for name in request if before.get(name) != request[name]]
    if before and config.overwrite_output_dir and (changed or mark.is_file()):
        _throw_away(output)
    elif before and changed:
        raise InputError(
            f"{output} holds a cleaning with another {', '.join(changed)}; choose another --output_dir, or throw "
            "the old one away with --overwrite_output_dir"
        )
    elif before:
        return mark.is_file()
    write_json(note, request)
    return False


def check_clean_dir(output: Path) -> None:
    """Raises InputError where a folder holds files that are not of a cleaning."""
    if not output.is_dir() or (output / CLEAN_REQUEST_NAME).is_file():
        return
    if any(not path.name.startswith(".") for path in output.iterdir()):
        raise InputError(f"{output} holds files that are not of a cleaning; choose another --output_dir")


def _throw_away(output: Path) -> None:
    """Removes what a run has left; a kill at any moment leaves the old run, or one that has not begun."""
    discarded = output / ".discarded"
    shutil.rmtree(discarded, ignore_errors=True)
    if (output / "logs").is_dir():
        os.replace(output / "logs", discarded)  # with them goes all memory of tasks that have ended
    for name in [CLEAN_MARK_NAME, *(name for name in MADE if name not in (CLEAN_MARK_NAME, CLEAN_REQUEST_NAME))]:
        path = output / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    shutil.rmtree(discarded, ignore_errors=True)
    (output / CLEAN_REQUEST_NAME).unlink()


def cleaning_stages(config: CleanCorpusConfig, inputs: CleaningInputs) -> list[Stage]:
    """The stages of a run, in order.

    Args:
        config: the settings.
        inputs: rules, word lists, classifiers and items, loaded and checked.
    """
    output = Path(config.output_dir).absolute()
    work, rejected = output / "work", output / "rejected"
    filtered, parts = work / "filtered", len(inputs.parts)
    near = config.near_duplicate_settings

    def only_if(wanted, step: PipelineStep) -> list[PipelineStep]:
        return [step] if wanted else []

    def unlike(kind: str, writer: RowWriter | None = None) -> PipelineStep:
        return DropDuplicates(work / kind, work / "identifiers", f"{kind}_duplicates", writer)

    kept_of_exact = [ReadRows(filtered), unlike("exact")]
    kept_of_near = only_if(config.near_duplicates, unlike("near"))

    stages = [
        Stage(
            "filter",
            [
                ReadParts(inputs.parts, output / "unreadable", work / "read", config.max_document_characters),
                RepairEncoding(config.max_broken_share, RowWriter(rejected / "broken_encoding")),
                NormaliseText(RowWriter(rejected / "empty")),
                CheckLanguage(config.languages, config.min_language_probability, RowWriter(rejected / "language")),
                *only_if(config.cut_boilerplate, CutBoilerplate(inputs.phrases, RowWriter(rejected / "boilerplate"))),
                ApplyRules(inputs.rule_sets, RowWriter(rejected / "rules")),
                *only_if(inputs.classifiers, ScoreQuality(inputs.classifiers, RowWriter(rejected / "quality"))),
                *only_if(config.mask_personal_data, MaskPersonalData()),
                RowWriter(filtered),
            ],
            parts,
        ),
        Stage(
            "exact-hashes",
            [ReadRows(filtered), WriteTextHashes(work / "exact-hashes", work / "identifiers", config.dedup_splits)],
            parts,
        ),
        Stage("exact-duplicates", [FindExactDuplicates(work / "exact-hashes", work / "exact")], config.dedup_splits),
    ]
    if config.near_duplicates:
        signatures, bands, pairs = (work / f"near-{name}" for name in ("signatures", "bands", "pairs"))
        search = [AllowManyFiles(), MinhashDedupBuckets(str(bands), str(pairs), config=near.minhash_config())]
        stages += [
            Stage("near-signatures", [*kept_of_exact, WriteMinhashSignatures(bands, signatures, near)], parts),
            Stage("near-pairs", search, near.bands),
            Stage("near-clusters", [KeepFirstOfCluster(pairs, signatures, work / "near", near)], 1),
        ]
    if config.repeated_line_documents:
        lines, found = work / "lines", work / "repeated-lines"
        search = FindRepeatedLines(lines, found, config.repeated_line_documents, config.repeated_line_share)
        stages += [
            Stage("line-hashes", [*kept_of_exact, *kept_of_near, WriteLineHashes(lines, config.dedup_splits)], parts),
            Stage("repeated-lines", [search], config.dedup_splits),
        ]
    finish = [ReadRows(filtered), unlike("exact", RowWriter(rejected / "exact_duplicates"))]
    finish += only_if(config.near_duplicates, unlike("near", RowWriter(rejected / "near_duplicates")))
    if config.repeated_line_documents:
        least = {domain: int(rules.minimum("characters")) for domain, rules in inputs.rule_sets.items()}
        finish.append(CutRepeatedLines(found, config.dedup_splits, least, RowWriter(rejected / "repeated_lines")))
    if inputs.items:
        finish.append(DropContaminated(inputs.items, RowWriter(rejected / "decontamination")))
    documents = RowWriter(output / CLEAN_DOCUMENTS_NAME, "${split}/${length}/${rank}.jsonl")
    finish += [AssignSplit(config.held_out_fraction, config.long_document_characters), documents]
    count = TallyPart(output, work, STEPS, inputs.rule_sets, inputs.token_counter)
    return [
        *stages,
        Stage("finish", finish, parts),
        Stage("tally", [count], parts),
        Stage("report", [WriteReport(output, work, config, STEPS, inputs.thresholds, inputs.items)], 1),
    ]


def clean_corpus(config: CleanCorpusConfig) -> dict | None:
    """Runs the cleansing, or what is left of it; where all is done, plans the mixture anew if another is wanted.

    Returns:
        The content of `report.json`; None where the run was handed to Slurm.

    Raises:
        InputError: something that was given cannot be used, output_dir holds another run, or one is at work there.
    """
    inputs = CleaningInputs.load(config)
    output = Path(config.output_dir)
    check_clean_dir(output)
    with alone_in(output):
        done = claim_clean_dir(config, inputs.request)
        if not done and not run_stages(cleaning_stages(config, inputs), output / "logs", config.executor_settings):
            return None
        if not config.keep_work:  # what is left if the last stage was killed while it removed this
            shutil.rmtree(output / "work", ignore_errors=True)
        return report_with_mixture(output, config)
