"""The cleansing of a corpus (section 3 of the paper), put together from datatrove blocks: from raw text to documents.

Three passes over the text and some work on signatures between them:

    filter       read, repair, normalise, language, boilerplate, rules, quality, personal data
    exact, near  signatures of what is left; duplicates are found by sorting them
    finish       drop duplicates, cut the lines that a site repeats, decontaminate, split, write
    report       count what lies there, plan the mixture, draw the page

One task works on one part of the corpus (a file), so what comes out does not depend on the number of workers or on the
executor, and a run that was killed goes on with the tasks that were not finished.
"""

import shutil
from pathlib import Path

from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import (
    ExactDedupFilter,
    ExactDedupSignature,
    ExactFindDedups,
    MinhashDedupBuckets,
    MinhashDedupFilter,
)

from ..errors import InputError
from ..run_record import read_json, write_json
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
from .duplicates import KeepFirstOfCluster, WriteMinhashSignatures, exact_config
from .repeated_lines import CutRepeatedLines, FindRepeatedLines, WriteLineHashes
from .report import WriteReport
from .sources import CLEAN_DOCUMENTS_NAME, CLEAN_MARK_NAME, CLEAN_REQUEST_NAME
from .stages import Stage, run_stages
from .tally import TallyPart

FILTER_STEPS = ("broken_encoding", "empty", "language", "boilerplate", "rules", "quality")
FINISH_STEPS = ("exact_duplicates", "near_duplicates", "repeated_lines", "decontamination")
MADE = (
    CLEAN_REQUEST_NAME, CLEAN_MARK_NAME, CLEAN_DOCUMENTS_NAME, "rejected", "unreadable", "work", "logs",
    "report.html", "report.json", "run.json",
)  # fmt: skip


def claim_clean_dir(config: CleanCorpusConfig, request: dict) -> bool:
    """Makes sure that a run may write into its folder: a new one, an empty one, or that of the same run.

    Args:
        config: the settings.
        request: what decides the result, from `CleaningInputs`.

    Returns:
        Whether the folder holds this run, complete.

    Raises:
        InputError: the folder holds other files, or another run.
    """
    output = Path(config.output_dir)
    note = output / CLEAN_REQUEST_NAME
    if config.overwrite_output_dir and note.is_file():
        for name in MADE:
            path = output / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if note.is_file():
        before = read_json(note, "recipes/clean_corpus.py")
        changed = [name for name in request if before.get(name) != request[name]]
        if changed:
            raise InputError(
                f"{output} holds a cleaning with another {', '.join(changed)}; choose another --output_dir, or throw "
                "the old one away with --overwrite_output_dir"
            )
        return (output / CLEAN_MARK_NAME).is_file()
    if output.is_dir() and any(output.iterdir()):
        raise InputError(f"{output} holds files that are not of a cleaning; choose another --output_dir")
    write_json(note, request)
    return False


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

    def kept_of_exact(writer: RowWriter | None = None) -> list[PipelineStep]:
        return [ReadRows(filtered), ExactDedupFilter(str(work / "exact"), exact_config(), writer)]

    def kept_of_near(writer: RowWriter | None = None) -> list[PipelineStep]:
        return only_if(config.near_duplicates, MinhashDedupFilter(str(work / "near"), writer))

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
            "exact-signatures",
            [ReadRows(filtered), ExactDedupSignature(str(work / "exact-hashes"), exact_config(), config.dedup_splits)],
            parts,
        ),
        Stage(
            "exact-duplicates",
            [_MakeFolder(work / "exact"),
             ExactFindDedups(str(work / "exact-hashes"), str(work / "exact"), exact_config())],
            config.dedup_splits,
        ),
    ]  # fmt: skip
    if config.near_duplicates:
        signatures, bands, pairs = (str(work / f"near-{name}") for name in ("signatures", "bands", "pairs"))
        stages += [
            Stage("near-signatures", [*kept_of_exact(), WriteMinhashSignatures(bands, signatures, near)], parts),
            Stage("near-pairs", [MinhashDedupBuckets(bands, pairs, config=near.minhash_config())], near.bands),
            Stage("near-clusters", [KeepFirstOfCluster(pairs, signatures, str(work / "near"), near)], 1),
        ]
    if config.repeated_line_documents:
        lines, found = str(work / "lines"), str(work / "repeated-lines")
        stages += [
            Stage(
                "line-hashes",
                [*kept_of_exact(), *kept_of_near(), WriteLineHashes(lines, config.dedup_splits)],
                parts,
            ),
            Stage(
                "repeated-lines",
                [FindRepeatedLines(lines, found, config.repeated_line_documents)],
                config.dedup_splits,
            ),
        ]
    finish = [
        *kept_of_exact(RowWriter(rejected / "exact_duplicates", reason="exact_duplicates")),
        *kept_of_near(RowWriter(rejected / "near_duplicates", reason="near_duplicates")),
    ]
    if config.repeated_line_documents:
        least = {domain: int(rules.minimum("characters")) for domain, rules in inputs.rule_sets.items()}
        finish.append(CutRepeatedLines(found, least, RowWriter(rejected / "repeated_lines")))
    if inputs.items:
        finish.append(DropContaminated(inputs.items, RowWriter(rejected / "decontamination")))
    documents = RowWriter(output / CLEAN_DOCUMENTS_NAME, "${split}/${length}/${rank}.jsonl")
    finish += [AssignSplit(config.held_out_fraction, config.long_document_characters), documents]
    steps = [*FILTER_STEPS, *FINISH_STEPS]
    count = TallyPart(output, work, steps, inputs.rule_sets, inputs.count_tokens)
    return [
        *stages,
        Stage("finish", finish, parts),
        Stage("tally", [count], parts),
        Stage("report", [WriteReport(output, work, config, steps, inputs.thresholds)], 1),
    ]


def clean_corpus(config: CleanCorpusConfig) -> dict | None:
    """Runs the cleansing, or what is left of it.

    Returns:
        The content of `report.json`; None where the run was handed to Slurm.

    Raises:
        InputError: something that was given cannot be used, or output_dir holds another run.
    """
    inputs = CleaningInputs.load(config)
    output = Path(config.output_dir)
    done = claim_clean_dir(config, inputs.request)
    if not done and not run_stages(cleaning_stages(config, inputs), output / "logs", config.executor_settings):
        return None
    if not config.keep_work:  # what is left if the last stage was killed while it removed this
        shutil.rmtree(output / "work", ignore_errors=True)
    return read_json(output / "report.json", "recipes/clean_corpus.py")


class _MakeFolder(PipelineStep):
    """Makes a folder that datatrove's next step writes to only if it has something to write, and others list."""

    type = "📁 - FOLDER"
    name = "folder"

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder

    def run(self, data=None, rank: int = 0, world_size: int = 1) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
