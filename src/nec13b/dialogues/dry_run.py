"""What recipes/prepare_dialogues.py would do; that of preferences says nearly the same (preferences/dry_run.py)."""

from ..dry_run import DryRun, DryRunInput, checkpoint_input, corpus_inputs, made_by
from .dialogue_settings import CHECKS, CheckSettings, PrepareDialoguesConfig


def dialogues_dry_run(config: PrepareDialoguesConfig) -> DryRun:
    """What is read, and what it is checked for."""
    inputs = (*corpus_inputs("dialogues", config.dialogues), *tokenizer_inputs(config.tokenizer))
    return DryRun(inputs, tuple(check_lines(config, CHECKS)), config.output_dir)


def tokenizer_inputs(tokenizer: str | None) -> list[DryRunInput]:
    """The tokenizer that counts, where one is named."""
    return [checkpoint_input("tokenizer", tokenizer, made_by("recipes/train_tokenizer.py"))] if tokenizer else []


def check_lines(config: CheckSettings, checks: tuple[str, ...]) -> list[str]:
    """The checks in their order, their limits, and the split."""
    tokens = f" or {config.max_dialogue_tokens:,} tokens" if config.max_dialogue_tokens else ""
    return [
        f"checks: {', '.join(name for name in checks if name not in config.skip_checks)}",
        f"at most {config.max_dialogue_characters:,} characters{tokens}; languages {', '.join(config.languages)}",
        f"personal data: {config.personal_data}; near duplicates from {config.near_similarity:g}",
        f"keeps {config.held_out_fraction:.1%} for evaluation",
    ]
