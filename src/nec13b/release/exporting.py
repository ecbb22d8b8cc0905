"""One export from its first line to its last: forms, verification, model card, record, and where it is pushed to."""

from pathlib import Path

from ..pretraining.preparation import number_of_parameters
from ..run_record import RunRecord, claim_made_dir, write_json
from .card_text import read_limits, repository_on_card
from .dry_run import export_dry_run
from .evaluations import read_evaluations
from .export_config import ExportConfig
from .exported_forms import write_form
from .hub_push import files_and_sizes, push
from .model_card import CardFacts, model_card
from .source_model import SourceModel, load_source
from .stage_records import StageRecord, stage_records
from .verification import agreements

CARD_NAME, STAGES_NAME = "README.md", "stages.json"
GIB = 2**30
CHAT_STAGES = ("chat_tune", "align")


def export(config: ExportConfig) -> None:
    """Writes what the settings ask for and says what came of it.

    Raises:
        InputError: the model or a form cannot be had, a form differs from the model, or the Hub refuses.
    """
    output, limits = Path(config.output_dir), read_limits(config.limits)
    if config.dry_run:
        print(export_dry_run(config).page())
        return
    evaluations = read_evaluations(config.evaluations, config.model)
    source = load_source(config.model, config.dtype)
    records = stage_records(source.records_from)
    facts = _facts(config, source, records, limits)
    parameters = number_of_parameters(source.model)
    size = parameters * source.model.dtype.itemsize
    print(f"{config.model}: {parameters:,} parameters in {str(source.model.dtype).removeprefix('torch.')}, "
          f"{size / GIB:,.2f} GiB; made in {len(records)} recorded stages")  # fmt: skip
    request = {"model": config.model, "records": [str(record.folder) for record in records], "settings": config,
               "evaluations": [each.digest for each in evaluations]}  # fmt: skip
    note = claim_made_dir(output, request, config.overwrite_output_dir, ("push_to", "private", "dry_run"))
    if note is None:
        print(f"{output} holds this export already")
    else:
        record = RunRecord("export", config)
        _write(config, source, model_card(facts, records, evaluations), records, record)
        record.update("inputs", model=config.model, evaluations=[each.digest for each in evaluations])
        record.update("counts", parameters=parameters)
        record.write(output)
        write_json(*note)
    for form in config.forms:
        files = files_and_sizes(output / form)
        print(f"{output / form!s:<32} {len(files)} files, {sum(size for _, size in files) / GIB:,.2f} GiB")
    if config.push_to:
        place = push(output / config.push_form, config.push_to, config.private, f"{facts.title}, exported by nec13b")
        print(f"pushed to {place}")


def _write(config: ExportConfig, source: SourceModel, card: str, records: list[StageRecord], record: RunRecord) -> None:
    output = Path(config.output_dir)
    # The settings that may hold names of machines and folders stay; secrets are in no record.
    stages = [{"stage": r.stage, **{k: r.values.get(k) for k in ("started", "config", "seed", "versions", "git_commit",
              "counts", "metrics")}} for r in records]  # fmt: skip
    for form in config.forms:
        folder = write_form(source, form, output / form, config.max_shard_size)
        (folder / CARD_NAME).write_text(card, encoding="utf-8")
        if stages:
            write_json(folder / STAGES_NAME, stages)
        if config.verify:
            found = agreements(source, form, folder, config.verify_tokens)
            for each in found:
                print(f"{form}, {each.tokens:,} tokens: logits differ by at most {each.difference:.1e}, "
                      f"{each.same_choice:.2%} the same choice")  # fmt: skip
            record.update("metrics", **{form: [vars(each) for each in found]})


def _facts(config: ExportConfig, source: SourceModel, records: list[StageRecord], limits: str) -> CardFacts:
    model, stages = source.model.config, {record.stage for record in records}
    # A base model brings the template of its later self along.
    chats = bool(source.tokenizer.chat_template) and (not stages or not stages.isdisjoint(CHAT_STAGES))
    folder = source.records_from.resolve()
    name = folder.parent.name if folder.name in ("model", "adapter") else folder.name
    return CardFacts(
        title=config.title or name, parameters=number_of_parameters(source.model),
        window=model.max_position_embeddings, vocabulary=model.vocab_size, forms=config.forms, licence=config.licence,
        languages=config.languages, chats=chats, limits=limits,
        repository=repository_on_card(config.push_to, config.output_dir, config.push_form),
    )  # fmt: skip
