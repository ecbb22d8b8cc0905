"""What recipes/extend_context.py would do."""

from pathlib import Path

from ..dry_run import DryRun, checkpoint_input, file_input, is_hub_name, made_by
from ..pretraining.dry_run import domain_lines, files_of_training, text_inputs, training_lines
from ..pretraining.model_shape import ModelShape
from .comparison import CompareConfig
from .config import ExtendContextConfig
from .extension import config_of_checkpoint, extended_rope


def extension_dry_run(config: ExtendContextConfig) -> DryRun:
    """The window, the text of both lengths and the run; where the model is there, its shape and frequencies too.

    Raises:
        InputError: the model is there and cannot be extended so.
    """
    inputs = [checkpoint_input("model", config.model, made_by("recipes/pretrain.py"))]
    # The tokenizer is the model's unless another is named.
    inputs += [each for each in text_inputs(config) if each.place != config.model]
    is_there = bool(config.model) and Path(config.model).is_dir() and not is_hub_name(config.model)
    if is_there:
        shape, window = ModelShape.of(config_of_checkpoint(config.model)), extended_rope(config)
        grown = f"by a factor of {window.factor:g}"
    else:
        shape, grown = ModelShape.of(config), "from the model's"
    plan = [
        f"window: {grown} to {config.sequence_length:,} tokens, interpolation {config.interpolation}",
        f"text: {config.short_share:.0%} of the tokens short, in sequences of "
        f"{f'{config.short_length:,} tokens' if config.short_length else 'the old window'}; the others long",
        *([f"runs: windows {config.stages} on the way"] if config.windows_on_the_way else []),
        *training_lines(config, shape, "extend_context"),
        *domain_lines(config),
    ]
    return DryRun(tuple(inputs), tuple(plan), config.output_dir, files_of_training(config, shape))


def losses_dry_run(config: CompareConfig) -> DryRun:
    """Of evaluation/loss_by_position.py."""
    paths = [path for group in config.checkpoints().values() for path in group]
    inputs = [checkpoint_input("models", path, "the recipe that trains it makes it") for path in paths]
    inputs.append(file_input("tokens", config.tokens or "-", made_by("recipes/pack_tokens.py")))
    plan = [f"{len(paths)} checkpoints on up to {config.documents} held-out documents of each domain, long and short, "
            f"{config.window:,} tokens of each",
            *([f"passkeys and copies, {config.trials} texts a length"] if config.probes else [])]  # fmt: skip
    return DryRun(tuple(inputs), tuple(plan), config.output_dir, "loss_by_position.png, loss_by_position.json")
