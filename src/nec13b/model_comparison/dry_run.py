"""What evaluation/side_by_side.py would do."""

from ..dry_run import DryRun, DryRunInput, checkpoint_input, corpus_inputs, file_input, key_input, made_by
from .comparison_config import SideBySideConfig
from .comparison_prompts import BUILT_IN


def side_by_side_dry_run(config: SideBySideConfig) -> DryRun:
    """The models, what they are asked, and who judges."""
    models = config.checkpoints()
    inputs = [checkpoint_input("models", path, "the recipe that trains it makes it") for path in models.values()]
    inputs += [DryRunInput("prompts", place, "come with nec13b") if place == BUILT_IN else file_input("prompts", place)
               for place in config.prompts]  # fmt: skip
    plan = [f"{len(models)} models answer each prompt in {config.max_new_tokens:,} tokens at most, temperature "
            f"{config.temperature:g}"]  # fmt: skip
    if config.pairs:
        inputs += corpus_inputs("preferences", config.preferences, made_by("recipes/prepare_preferences.py"))
        plan.append(f"they read up to {config.pairs:,} held-out preferences of {config.max_length:,} tokens at most")
    if config.judge_model:
        judge = config.judge()
        inputs.append(DryRunInput("judge_url", judge.base_url, f"asked for {judge.model} when the command runs"))
        inputs.append(key_input(judge))
        plan.append(f"{judge.model} judges harm too")
    return DryRun(tuple(inputs), tuple(plan), config.output_dir, "report.html, report.json, answers.jsonl")
