"""From a checkpoint to the same weights with a longer window: which frequencies, which text, and what is said of it."""

from transformers import AutoConfig, PreTrainedConfig

from ..corpus.mixture import resolve_proportions
from ..errors import InputError, one_line
from ..modeling_nec13b import Nec13bForCausalLM
from ..pretraining import TokenShards
from ..pretraining.messages import note_on_text
from ..pretraining.preparation import Prepared, load_initial_model
from ..pretraining.training_run import TrainingData
from ..recipe_config import parse_mapping
from ..rope_interpolation import RopeInterpolation
from .config import ExtendContextConfig
from .interpolations import interpolation_named
from .lengths import MixedLengths, held_out_lengths


def old_window(base: PreTrainedConfig) -> int:
    """The window, in tokens, that the frequencies of a checkpoint were first trained on."""
    interpolation = RopeInterpolation.of(base)
    if interpolation and interpolation.original_max_position_embeddings:
        return interpolation.original_max_position_embeddings
    return base.max_position_embeddings


def extended_rope(config: ExtendContextConfig) -> RopeInterpolation:
    """The interpolation that the settings ask for, from the frequencies that the model was first trained with.

    Raises:
        InputError: there is no such checkpoint, its window does not grow, its rope type is neither ours nor the plain
            one, or an option of the interpolation is wrong.
    """
    base = base_config(config)
    kind = (base.rope_parameters or {}).get("rope_type", "default")
    if kind not in ("default", "interpolation"):
        raise InputError(f"{config.model} has rotary embeddings of the type {kind}, which cannot be extended again")
    window = old_window(base)
    if config.sequence_length <= base.max_position_embeddings:
        raise InputError(
            f"sequence_length {config.sequence_length:,} is not beyond the window of {config.model}, "
            f"{base.max_position_embeddings:,} tokens"
        )
    interpolation = interpolation_named(config.interpolation, config.sequence_length / window, window)
    options = parse_mapping("interpolation_options", config.interpolation_options)
    theta = base.rope_parameters["rope_theta"]
    try:
        return RopeInterpolation.from_rope_parameters({**interpolation.to_rope_parameters(theta), **(options or {})})
    except ValueError as error:
        raise InputError(f"interpolation_options: {error}") from None


def base_config(config: ExtendContextConfig) -> PreTrainedConfig:
    """The configuration of the checkpoint that is extended.

    Raises:
        InputError: there is none.
    """
    if not config.model:
        raise InputError("--model, the checkpoint to extend, is missing; recipes/pretrain.py makes one")
    return config_of_checkpoint(config.model)


def config_of_checkpoint(path: str) -> PreTrainedConfig:
    """The configuration of a checkpoint, in a folder or on the Hub; raises InputError where there is none."""
    try:
        return AutoConfig.from_pretrained(path)
    except Exception as error:  # the Hub client and json raise many kinds
        raise InputError(f"no checkpoint at {path}: {one_line(error, 200)}; recipes/pretrain.py makes one") from None


def load_extended_model(config: ExtendContextConfig, prepared: Prepared, whole: bool = False) -> Nec13bForCausalLM:
    """The checkpoint's weights with the new window and its frequencies; arguments as for `load_initial_model`."""
    base = base_config(config)
    rope = extended_rope(config).to_rope_parameters(base.rope_parameters["rope_theta"])
    changes = {"rope_parameters": rope, "max_position_embeddings": config.sequence_length}
    return load_initial_model(config, prepared, whole, changes)


def text_of_both_lengths(config: ExtendContextConfig, prepared: Prepared) -> TrainingData:
    """Long and short text of the corpus in its proportions, and what was held out of it."""
    shards, base = prepared.shards, base_config(config)
    short_length = config.short_length or min(old_window(base), config.sequence_length)
    proportions = resolve_proportions(config.mixture or shards.proportions, list(shards.streams["train"]))
    window, across = config.sequence_length, config.attend_across_documents
    train = MixedLengths(
        shards, window, short_length, proportions, config.short_share, config.sequences_per_batch,
        config.per_device_train_batch_size, config.max_steps * config.sequences_per_batch, config.seed, across,
    )  # fmt: skip
    held_out = held_out_lengths(shards, window, short_length, config.eval_sequences, across)
    rope = extended_rope(config)
    decisive = {"mixture": proportions, "short_share": config.short_share, "short_length": short_length,
                "rope_parameters": rope.to_rope_parameters(base.rope_parameters["rope_theta"])}  # fmt: skip
    lines = [line_of_interpolation(config, rope, base), *lines_of_lengths(shards, train, held_out)]
    return TrainingData(train, held_out, lines, decisive, train.epochs())


def line_of_interpolation(config: ExtendContextConfig, rope: RopeInterpolation, base: PreTrainedConfig) -> str:
    """How the window grows, in one line."""
    options = f" with {config.interpolation_options}" if config.interpolation_options else ""
    return (f"window: {base.max_position_embeddings:,} -> {config.sequence_length:,} tokens; interpolation "
            f"{config.interpolation}{options}: {rope.method}, factor {rope.factor:g}")  # fmt: skip


def lines_of_lengths(shards: TokenShards, train: MixedLengths, held_out: dict) -> list[str]:
    """A line for each kind of text and domain: its share, how much there is of it, and how often it is seen."""
    epochs, lines = train.epochs(), []
    for kind, text in train.kinds.items():
        lines.append(f"  {kind}: {train.share(kind):.0%} of tokens, in sequences of {text.sequence_length:,}")
        for domain in sorted(text.pieces.keys() - text.proportions.keys()):
            lines.append(f"    {domain}: none, the others take its place; the corpus has no {kind} text of it")
        for domain, share in text.proportions.items():
            pieces, name = text.pieces[domain], f"{domain}_{kind}"
            of_domain = pieces.tokens / shards.streams["train"][domain].tokens
            note = note_on_text(shards, domain, epochs[name], name in held_out)
            lines.append(
                f"    {domain}: {share:.0%}, {pieces.tokens:,} tokens ({of_domain:.0%} of the domain), "
                f"{epochs[name]:.2f} epochs{note}"
            )
    return lines
