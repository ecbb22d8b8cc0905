"""What recipes/train_tokenizer.py would do."""

from ..corpus.mixture import DEFAULT_PROPORTIONS
from ..dry_run import DryRun, corpus_inputs, file_input, made_by, size_text
from .settings import TrainTokenizerConfig

PRE_TOKEN_BYTES = 2_000


def tokenizer_dry_run(config: TrainTokenizerConfig) -> DryRun:
    """What is read, how much of it, and what training holds in memory."""
    inputs = corpus_inputs("corpus", config.corpus, made_by("recipes/clean_corpus.py"))
    inputs += [file_input("word_lists", path) for path in config.word_lists.values()]
    shares = config.proportions or DEFAULT_PROPORTIONS
    whose = "" if config.proportions else ", or the shares of a cleaned corpus"
    plan = (
        f"counts up to {config.tokenizer_characters:,} characters in {config.workers} processes",
        f"mixed {', '.join(f'{domain} {share:g}' for domain, share in shares.items())}{whose}",
        f"merges up to {config.vocab_size:,} tokens of at most {config.max_token_characters} characters, over "
        f"{config.most_pre_tokens:,} pre-tokens at most: about {size_text(config.most_pre_tokens * PRE_TOKEN_BYTES)}",
        f"removes unsuitable tokens, tried on {config.sample_characters:,} characters of each domain",
        *((f"reports on it beside {', '.join(config.peers)}",) if config.report else ()),
    )
    return DryRun(tuple(inputs), plan, config.output_dir)
