"""What the recipes of the corpus would do: the dirty corpus, the learned filter, the cleansing."""

from ..dry_run import DryRun, checkpoint_input, corpus_inputs, file_input, made_by, size_text
from .cleaning import STEPS
from .cleaning_config import CleanCorpusConfig
from .dirty_corpus import DirtyCorpusConfig
from .mixture import CHARACTERS_PER_TOKEN, OTHER_CHARACTERS_PER_TOKEN
from .quality_training import TrainQualityConfig

FLOAT_BYTES = 4


def dirtying_dry_run(config: DirtyCorpusConfig) -> DryRun:
    """Of recipes/dirty_corpus.py."""
    plan = f"makes {config.dirty_share:.0%} of the documents dirty, by seed {config.seed}"
    return DryRun(tuple(corpus_inputs("corpus", config.corpus)), (plan,), config.output_dir)


def quality_dry_run(config: TrainQualityConfig) -> DryRun:
    """Of recipes/train_quality_classifier.py."""
    inputs = corpus_inputs("corpus", config.corpus) + corpus_inputs("dirty", config.dirty)
    inputs += [file_input("rules", config.rules)] if config.rules else []
    size = size_text(config.buckets * config.dimension * FLOAT_BYTES)
    dirty = "dirty, " if config.dirty else ""
    plan = (
        f"takes up to {config.max_documents:,} clean, {dirty}and dirtied documents each, of domain {config.domain}",
        f"makes clean text dirty in {len(config.dirtied_kinds)} ways: {', '.join(config.dirtied_kinds)}",
        f"trains fastText for {config.epochs} epochs on one thread: {config.buckets:,} buckets of {config.dimension} "
        f"numbers, {size}, and the words",
        f"sets the threshold for a precision of {config.wanted_precision:g} at {config.expected_dirty_share:.0%} dirt",
        *(("trains once more without each kind of dirt",) if config.leave_kinds_out else ()),
    )
    return DryRun(tuple(inputs), plan, config.output_dir)


def cleaning_dry_run(config: CleanCorpusConfig) -> DryRun:
    """Of recipes/clean_corpus.py."""
    inputs = corpus_inputs("corpus", config.corpus)
    hint = made_by("recipes/train_quality_classifier.py")
    inputs += [file_input("quality", folder, hint) for folder in config.quality.values()]
    inputs += [file_input("rules", config.rules)] if config.rules else []
    inputs += [file_input("word_lists", path) for path in config.word_lists.values()]
    inputs += [file_input("decontaminate", path) for path in config.decontaminate]
    if config.tokenizer:
        inputs.append(checkpoint_input("tokenizer", config.tokenizer, made_by("recipes/train_tokenizer.py")))
    left_out = [name for name, on in (("boilerplate", config.cut_boilerplate), ("quality", config.quality),
        ("near_duplicates", config.near_duplicates), ("repeated_lines", config.repeated_line_documents),
        ("decontamination", config.decontaminate)) if not on]  # fmt: skip
    workers = f"{config.workers:,} at once" if config.workers else "as many at once as there are"
    plan = [
        f"steps: {', '.join(step for step in STEPS if step not in left_out)}",
        *([f"left out: {', '.join(left_out)}"] if left_out else []),
        f"runs on executor {config.executor}, tasks {workers}",
        f"near duplicates from a similarity of {config.near_similarity:g}, {config.minhash_bands} bands of "
        f"{config.minhash_rows} hashes",
        f"keeps {config.held_out_fraction:.2%} of the documents for evaluation",
        f"plans a mixture for {config.train_tokens:,} tokens of training, at most {config.max_epochs:g} passes:",
    ]
    total = sum(config.proportions.values())
    for domain, share in config.proportions.items():
        tokens = config.train_tokens * share / total
        characters = tokens * CHARACTERS_PER_TOKEN.get(domain, OTHER_CHARACTERS_PER_TOKEN)
        plan.append(
            f"  {domain}: {tokens / 1e9:,.1f} billion tokens, about {characters / 1e9:,.0f} billion characters; "
            f"{characters / config.max_epochs / 1e9:,.0f} billion of them different at least"
        )
    return DryRun(tuple(inputs), tuple(plan), config.output_dir)
