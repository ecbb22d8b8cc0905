"""The settings of the cleansing, and everything they name, loaded and checked before any work starts."""

import dataclasses
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ..errors import InputError, one_line
from ..recipe_config import parse_mapping
from ..run_record import digest_of_value, fingerprint_of_file
from .decontamination import ItemIndex, read_items
from .mixture import CHARACTERS_PER_TOKEN, DEFAULT_PROPORTIONS, OTHER_CHARACTERS_PER_TOKEN
from .near_duplicates import NearDuplicateSettings
from .phrases import PhraseLists, load_phrase_lists
from .quality import QualityClassifier
from .rules import RuleSet, load_rule_sets
from .settings import CorpusSettings
from .sources import Part, corpus_identity, parse_sources, parts_of
from .stages import ExecutorSettings


@dataclass
class CleanCorpusConfig(CorpusSettings):
    """Cleans a corpus: rules, a learned filter, deduplication, decontamination, mixture, and a report of it all."""

    output_dir: str = field(default="runs/clean", metadata={"help": "Folder for documents/, rejected/ and the report."})
    overwrite_output_dir: bool = field(default=False, metadata={"help": "Throw away what output_dir holds of a run."})
    explain: str | None = field(
        default=None, metadata={"help": "Instead of a run: what every step says of the text in this file."}
    )

    # The filters, in their order.
    max_broken_share: float = field(
        default=0.01, metadata={"help": "Most characters that may be traces of a wrong encoding, 0 to 1."}
    )
    languages: list[str] = field(default_factory=lambda: ["ja", "en"], metadata={"help": "Languages that are kept."})
    min_language_probability: float = field(
        default=0.3, metadata={"help": "How sure the identification of the language must be, 0 to 1."}
    )
    cut_boilerplate: bool = field(default=True, metadata={"help": "Cut lines of navigation and notices."})
    rules: str | None = field(
        default=None, metadata={"help": "YAML file of rules by domain. Default: the project's own."}
    )
    word_lists: dict | str | None = field(
        default=None,
        metadata={"help": 'Your own word lists by category, {"gambling": "words.txt"}: a rule gambling_word_share.'},
    )
    own_word_lists: bool = field(default=True, metadata={"help": "Use the project's word lists too."})
    quality: dict | str | None = field(
        default=None,
        metadata={"help": "Folder of a classifier (recipes/train_quality_classifier.py), or ja=FOLDER,en=FOLDER."},
    )
    quality_threshold: float | None = field(
        default=None, metadata={"help": "Least probability of being clean. Default: the classifier's own."}
    )
    mask_personal_data: bool = field(
        default=True, metadata={"help": "Mask mail addresses, phone numbers, postal codes and card numbers."}
    )

    # Duplicates.
    near_duplicates: bool = field(default=True, metadata={"help": "Drop near duplicates (MinHash) too."})
    shingle: int = field(
        default=4, metadata={"help": "Kana and kanji of a shingle; twice as many letters of other scripts."}
    )
    minhash_bands: int = field(default=25, metadata={"help": "Bands of the MinHash signature."})
    minhash_rows: int = field(default=4, metadata={"help": "Hashes of a band; more rows: fewer candidates."})
    near_similarity: float = field(
        default=0.45,
        metadata={"help": "Jaccard similarity of shingles from which on documents are duplicates, 0 to 1."},
    )
    repeated_line_documents: int = field(
        default=10, metadata={"help": "Documents of one site that make a shared line boilerplate. 0: do not look."}
    )
    repeated_line_share: float = field(
        default=0.1, metadata={"help": "Share of the site's documents, 0 to 1, that must have the line as well."}
    )
    dedup_splits: int = field(
        default=1, metadata={"help": "Tasks that search hashes for duplicates; each holds its part in memory."}
    )

    # What is kept apart.
    decontaminate: list[str] = field(
        default_factory=list,
        metadata={"help": "Files of evaluation items (JGLUE, Rakuda, any JSONL); documents with one are dropped."},
    )
    held_out_fraction: float = field(
        default=0.01, metadata={"help": "Share of documents, by hash, that is kept for evaluation."}
    )
    long_document_characters: int = field(
        default=16_000, metadata={"help": "From this length on a document is long and lies in a folder of its own."}
    )

    # The mixture.
    proportions: dict | str | None = field(
        default=None, metadata={"help": "Share of training tokens by domain. Default: ja=0.45,en=0.35,code=0.2."}
    )
    train_tokens: int = field(default=260_000_000_000, metadata={"help": "Training tokens that the mixture is for."})
    source_weights: dict | str | None = field(
        default=None, metadata={"help": "How much more often a source is gone through, as wiki=3,web=1."}
    )
    max_epochs: float = field(default=4.0, metadata={"help": "Most passes through any source."})
    tokenizer: str | None = field(
        default=None, metadata={"help": "Tokenizer that counts the tokens. Default: estimated from characters."}
    )

    # Where it runs.
    executor: str = field(default="local", metadata={"help": "local, slurm or ray."})
    workers: int = field(default=1, metadata={"help": "Tasks at once. 0: all cores, or no limit on a cluster."})
    executor_options: dict | str | None = field(
        default=None, metadata={"help": 'Arguments of datatrove\'s executor, {"partition": "cpu", "time": "24:00:00"}.'}
    )
    keep_work: bool = field(default=False, metadata={"help": "Keep the files between the stages (work/)."})

    def __post_init__(self):
        self.check_corpus_settings()
        self.proportions = parse_mapping("proportions", self.proportions, float) or dict(DEFAULT_PROPORTIONS)
        self.source_weights = parse_mapping("source_weights", self.source_weights, float) or {}
        self.word_lists = parse_mapping("word_lists", self.word_lists) or {}
        self.executor_options = parse_mapping("executor_options", self.executor_options) or {}
        if isinstance(self.quality, str) and "=" not in self.quality and not self.quality.startswith("{"):
            self.quality = {"": self.quality}
        self.quality = parse_mapping("quality", self.quality) or {}
        for name in ("max_broken_share", "min_language_probability", "repeated_line_share", "held_out_fraction",
                     "quality_threshold"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"{name} must lie between 0 and 1, not {value}")
        for name in ("shingle", "minhash_bands", "minhash_rows", "dedup_splits", "train_tokens",
                     "long_document_characters"):  # fmt: skip
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 < self.near_similarity <= 1:
            raise InputError(f"near_similarity must lie above 0 and not above 1, not {self.near_similarity}")
        if self.repeated_line_documents < 0 or self.repeated_line_documents == 1:
            raise InputError("repeated_line_documents must be 0, or at least 2")
        if not self.max_epochs > 0:
            raise InputError(f"max_epochs must be above 0, not {self.max_epochs}")
        for domain, share in self.proportions.items():
            if not share > 0:
                raise InputError(f"proportions: the share of {domain} must be above 0, not {share}")
        self.executor_settings.check()

    @property
    def executor_settings(self) -> ExecutorSettings:
        return ExecutorSettings(self.executor, self.workers, self.executor_options)

    @property
    def near_duplicate_settings(self) -> NearDuplicateSettings:
        return NearDuplicateSettings(self.shingle, self.minhash_bands, self.minhash_rows, self.near_similarity)


# Settings that do not change the documents: the mixture is planned anew when they are cleaned already.
IMMATERIAL = {
    "output_dir", "overwrite_output_dir", "explain", "executor", "workers", "executor_options", "keep_work",
    "proportions", "train_tokens", "source_weights", "max_epochs",
}  # fmt: skip
# Settings whose files count, not their names; `request` has fingerprints of them.
BY_CONTENT = {"corpus", "rules", "word_lists", "own_word_lists", "quality", "decontaminate", "tokenizer"}


@dataclass
class CleaningInputs:
    """Everything the settings name.

    Attributes:
        parts: the parts of the corpus, one a task.
        phrases: the word lists.
        rule_sets: the rules by domain.
        classifiers: the classifiers by domain.
        items: the evaluation items to keep out, or None.
        tokenizer: folder or Hub name of the tokenizer that counts, or empty.
        request: what decides the documents; equal requests have equal documents.
    """

    parts: list[Part]
    phrases: PhraseLists
    rule_sets: dict[str, RuleSet]
    classifiers: dict[str, QualityClassifier]
    items: ItemIndex | None
    tokenizer: str
    request: dict

    @classmethod
    def load(cls, config: CleanCorpusConfig, with_corpus: bool = True) -> "CleaningInputs":
        """Loads and checks everything, or, for looking at a single text, everything but the corpus.

        Raises:
            InputError: something cannot be used.
        """
        phrases = load_phrase_lists(config.word_lists, config.own_word_lists)
        rule_sets = load_rule_sets(config.rules, phrases, list(config.word_lists))
        classifiers = load_classifiers(config)
        items = [item for path in config.decontaminate for item in read_items(path)]
        tokenizer = config.tokenizer or ""
        if tokenizer and Path(tokenizer).is_dir():  # tasks on other machines may run in another folder
            tokenizer = str(Path(tokenizer).absolute())
        index = ItemIndex(items) if items else None
        if not with_corpus:
            return cls([], phrases, rule_sets, classifiers, index, tokenizer, {})
        sources = parse_sources(config.corpus)
        unknown = sorted(set(config.source_weights) - {source.label for source in sources})
        if unknown:
            known = ", ".join(source.label for source in sources)
            raise InputError(f"source_weights names {unknown[0]!r}, but the sources are {known}")
        parts = parts_of(sources, split_hub=True)
        settings = {name: value for name, value in vars(config).items() if name not in IMMATERIAL | BY_CONTENT}
        request = {
            "corpus": corpus_identity(sources),
            "rules": {domain: rules.written for domain, rules in rule_sets.items()},
            "word_lists": digest_of_value({phrase: sorted(names) for phrase, names in phrases.categories.items()}),
            "quality": {d: [c.fingerprint, c.threshold] for d, c in sorted(classifiers.items())},
            "decontaminate": digest_of_value([dataclasses.astuple(item) for item in items]),
            "tokenizer": fingerprint_of_tokenizer(tokenizer) if tokenizer else "",
            **settings,
        }
        plain = json.loads(json.dumps(request))  # as it will be read back
        return cls(parts, phrases, rule_sets, classifiers, index, tokenizer, plain)

    @property
    def thresholds(self) -> dict[str, float]:
        """The threshold of each domain's classifier."""
        return {domain: classifier.threshold for domain, classifier in self.classifiers.items()}

    @property
    def token_counter(self) -> "TokenCounter":
        """Counts the tokens of a text."""
        return TokenCounter(self.tokenizer)


class TokenCounter:
    """Counts tokens with a tokenizer, or, without one, from the number of characters.

    Args:
        tokenizer: folder or Hub name, or empty.
    """

    def __init__(self, tokenizer: str):
        self.tokenizer = tokenizer

    def __getstate__(self) -> dict:
        return {"tokenizer": self.tokenizer}

    @cached_property
    def _loaded(self):
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.tokenizer)

    def __call__(self, text: str, domain: str) -> float:
        if not self.tokenizer:
            return len(text) / CHARACTERS_PER_TOKEN.get(domain, OTHER_CHARACTERS_PER_TOKEN)
        return len(self._loaded(text, add_special_tokens=False)["input_ids"])


def load_classifiers(config: CleanCorpusConfig) -> dict[str, QualityClassifier]:
    """The classifier of each domain.

    Raises:
        InputError: one cannot be used, or was trained for another domain than the one it is named for.
    """
    classifiers = {}
    for domain, folder in config.quality.items():
        classifier = QualityClassifier.open(folder, config.quality_threshold)
        trained_for = classifier.card["domain"]
        if domain and domain != trained_for:
            raise InputError(f"{folder} was trained for domain {trained_for}, not for {domain}")
        classifier.clean_probability("")  # a model that cannot be loaded is found now
        classifiers[trained_for] = classifier
    return classifiers


def fingerprint_of_tokenizer(tokenizer: str) -> str:
    """Of the tokenizer's file where it is local, else its name; raises InputError where it cannot be loaded."""
    from transformers import AutoTokenizer

    try:
        AutoTokenizer.from_pretrained(tokenizer)
    except Exception as error:  # transformers raises many kinds for what is not a tokenizer
        raise InputError(f"cannot load tokenizer {tokenizer!r}: {one_line(error)}") from None
    path = Path(tokenizer) / "tokenizer.json"
    return fingerprint_of_file(path) if path.is_file() else tokenizer
