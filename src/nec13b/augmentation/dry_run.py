"""What recipes/augment_dialogues.py would do."""

from ..dry_run import DryRun, corpus_inputs, generator_inputs
from .augmentation_config import AugmentDialoguesConfig


def augmentation_dry_run(config: AugmentDialoguesConfig) -> DryRun:
    """How many items, by which requests, and what they may cost at most."""
    items = config.items * config.rounds
    requests = 3 if config.min_score else 2
    most = items * (config.question_tokens + config.answer_tokens + (config.grade_tokens if config.min_score else 0))
    total = sum(config.operations.values())
    plan = [
        f"{config.items:,} items in each of {config.rounds} rounds, {requests} requests an item where all goes well: "
        f"question, answer{', grade' if config.min_score else ''}",
        f"operations: {', '.join(f'{name} {weight / total:.0%}' for name, weight in config.operations.items())}",
        f"at most {most:,} tokens are written, {config.workers:,} items at once",
    ]
    if config.completion_price:
        plan.append(f"cost of what is written: {config.price(0, most):,.2f} at most; the prompts come on top")
    plan.append(
        f"keeps what passes the checks{f' and is graded {config.min_score} or more' if config.min_score else ''}"
    )
    inputs = (*corpus_inputs("seeds", config.seeds), *generator_inputs(config))
    return DryRun(inputs, tuple(plan), config.output_dir, "dialogues.jsonl, review.jsonl, journal.jsonl, report.json")
