"""What recipes/prepare_preferences.py would do."""

from ..dialogues.dry_run import check_lines, tokenizer_inputs
from ..dry_run import DryRun, corpus_inputs, made_by
from .preference_settings import CHECKS, PreparePreferencesConfig


def preferences_dry_run(config: PreparePreferencesConfig) -> DryRun:
    """What is read, what it is checked for, and when judgements decide."""
    entries = corpus_inputs("preferences", config.preferences, made_by("recipes/annotate_preferences.py"))
    rule = f"judgements decide from {config.min_judges} people and a margin of {config.min_margin:g}"
    inputs = (*entries, *tokenizer_inputs(config.tokenizer))
    return DryRun(inputs, (*check_lines(config, CHECKS), rule), config.output_dir)
