"""What recipes/export.py would do, without loading the model: its configuration says how large it is. And what
recipes/publish_dataset.py would do where its data set is still to be made."""

from pathlib import Path

from ..chat_tuning.dry_run import shape_of
from ..dry_run import DryRun, checkpoint_input, corpus_inputs, file_input, size_text
from .dataset_config import PublishDatasetConfig
from .export_config import ExportConfig
from .stage_records import stage_records

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def export_dry_run(config: ExportConfig) -> DryRun:
    """The forms and their size, the records that the card is made of, and where it goes."""
    inputs = [checkpoint_input("model", config.model, "recipes/align.py or chat_tune.py makes it")]
    inputs += [file_input("limits", config.limits)] if config.limits else []
    inputs += corpus_inputs("evaluations", config.evaluations, "the command of that evaluation makes it")
    output, shape = Path(config.output_dir), shape_of(config.model)
    size = ""
    if shape:
        bytes_each = BYTES.get(config.dtype)
        size = (
            f", {size_text(bytes_each * shape.parameters)} each" if bytes_each else ", in the precision that they have"
        )
        size = f"{shape.parameters:,} parameters{size}; "
    records = stage_records(Path(config.model))
    plan = [
        f"{size}the card is made of {len(records)} run records, licence {config.licence or 'not said'}",
        *(f"would write {output / form}" for form in config.forms),
        f"logits are compared with the model's over {config.verify_tokens or 'up to 4,096'} tokens" if config.verify
        else "nothing is compared with the model",
    ]  # fmt: skip
    if config.push_to:
        private = "private" if config.private else "public"
        plan.append(f"would push {output / config.push_form} to {config.push_to}, {private} where it is new")
    return DryRun(tuple(inputs), tuple(plan), config.output_dir)


def dataset_dry_run(config: PublishDatasetConfig) -> DryRun:
    """What is missing, and what would be made of it; where nothing is missing, files and sizes say more."""
    inputs = [file_input("dataset", config.dataset, "clean_corpus.py, prepare_dialogues.py or prepare_preferences.py")]
    inputs += [file_input("limits", config.limits)] if config.limits else []
    plan = ["would write its files and their card"] + (
        [f"would push them to {config.push_to}"] if config.push_to else []
    )
    return DryRun(tuple(inputs), tuple(plan), config.output_dir)
