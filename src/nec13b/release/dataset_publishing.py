"""One publication of a data set from its first line to its last: card, files, record, and where it is pushed to."""

from pathlib import Path

from ..errors import InputError
from ..run_record import RECORD_NAME, RunRecord, claim_made_dir, fingerprint_of_file, write_json
from ..whole_files import whole_folder
from .card_text import read_limits, repository_on_card
from .dataset_card import DatasetFacts, dataset_card
from .dataset_config import PublishDatasetConfig
from .dataset_files import RECIPES, DatasetFolder
from .dry_run import dataset_dry_run
from .hub_push import files_and_sizes, push

CARD_NAME, FOLDER_NAME = "README.md", "hub"
MIB = 2**20


def publish_dataset(config: PublishDatasetConfig) -> None:
    """Writes the data set as the Hub will have it, pushes it where that is asked for, and says what came of it.

    Raises:
        InputError: the folder is no data set that has ended, its files are not those of its report, or the Hub refuses.
    """
    if config.dry_run and not Path(config.dataset).exists():
        print(dataset_dry_run(config).page())
        return
    output, source = Path(config.output_dir), DatasetFolder.open(config.dataset, config.provenance)
    limits, place = read_limits(config.limits), output / FOLDER_NAME
    title = config.title or source.folder.resolve().name
    repository = repository_on_card(config.push_to, config.output_dir, FOLDER_NAME)
    facts = DatasetFacts(title, config.licence, config.languages, limits, repository)
    try:
        card = dataset_card(facts, source).encode()
    except (KeyError, TypeError, AttributeError):
        raise InputError(
            f"the record or the report in {source.folder} is of another version; run {RECIPES[source.kind]} again"
        ) from None
    if config.dry_run:
        _say_files("would write", place, [(CARD_NAME, len(card)), *source.files()])
        if config.push_to:
            print(f"would push {place} to {config.push_to}")
        return
    request = {"record": fingerprint_of_file(source.folder / RECORD_NAME), "settings": config}
    note = claim_made_dir(output, request, config.overwrite_output_dir, ("push_to", "private", "dry_run"))
    if note is None:
        print(f"{output} holds this data set already")
    else:
        record = RunRecord("publish_dataset", config)
        with whole_folder(place) as building:
            source.write(building)
            (building / CARD_NAME).write_bytes(card)
        record.update("inputs", dataset=config.dataset, record=request["record"])
        record.update("counts", **source.counts())
        record.write(output)
        write_json(*note)
    _say_files("wrote", place, files_and_sizes(place))
    if config.push_to:
        where = push(place, config.push_to, config.private, f"{title}, published by nec13b", repo_type="dataset")
        print(f"pushed to {where}")


def _say_files(did: str, place: Path, files: list[tuple[str, int]]) -> None:
    for name, size in files:
        print(f"{size / MIB:>12,.2f} MiB  {name}")
    print(f"{sum(size for _, size in files) / MIB:>12,.2f} MiB  in {len(files):,} files: {did} {place}")
