"""What recipes/align.py would do."""

from ..chat_tuning.dry_run import model_inputs, tuning_files, tuning_lines
from ..dry_run import DryRun, corpus_inputs, made_by
from .align_config import AlignConfig


def alignment_dry_run(config: AlignConfig) -> DryRun:
    """The model, its reference, the preferences, the run and when it would stop."""
    inputs = model_inputs(config, made_by("recipes/chat_tune.py"))
    inputs += corpus_inputs("preferences", config.preferences, made_by("recipes/prepare_preferences.py"))
    limits = ", ".join(f"{name} {value:g}" for name, value in config.limits.items())
    plan = [
        *tuning_lines(config, f"a preference, two texts of at most {config.max_length:,} tokens, a row"),
        f"loss: {' + '.join(config.loss_type)}, beta {config.beta:g}; reference {config.reference}",
        f"stops at signs of reward hacking: {limits or 'no limit is set'}",
        "memory and time by reference: python recipes/plan.py --of align --config ... --machine ... --gpu ...",
    ]
    return DryRun(tuple(inputs), tuple(plan), config.output_dir, tuning_files(config))
