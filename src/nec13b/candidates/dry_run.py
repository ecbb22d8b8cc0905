"""What recipes/sample_candidates.py would do."""

from pathlib import Path

from ..dry_run import DryRun, DryRunInput, checkpoint_input, corpus_inputs, key_input
from .candidates_config import SampleCandidatesConfig


def candidates_dry_run(config: SampleCandidatesConfig) -> DryRun:
    """Which models answer, how often each, and what a prompt may cost at most."""
    models = config.model_entries()
    inputs, plan = corpus_inputs("prompts", config.prompts), []
    for model in models:
        settings = model.settings
        if settings.generator == "endpoint":
            inputs.append(DryRunInput("models", settings.base_url, f"asked for {settings.model} when the command runs"))
            inputs.append(key_input(settings))
        else:
            place = str(Path(settings.model) / settings.gguf_file) if settings.gguf_file else settings.model
            inputs.append(checkpoint_input("models", place, "recipes/chat_tune.py or align.py makes it"))
        plan.append(f"{model.label}: {model.answers} answers a prompt, temperature {model.sampling.temperature:g}")
    answers = sum(model.answers for model in models)
    plan += [
        f"{answers} answers a prompt in all, {answers * config.max_new_tokens:,} tokens at most",
        f"{config.pairs_per_prompt} pair of them at most is chosen by {', '.join(config.pair_criteria)}",
        *([f"{config.check_pairs} pairs with a spoiled copy are planted"] if config.check_pairs else []),
    ]
    return DryRun(
        tuple(dict.fromkeys(inputs)), tuple(plan), config.output_dir, "pairs.jsonl, answers.jsonl, report.json"
    )
