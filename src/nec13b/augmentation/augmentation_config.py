"""The settings of the amplification of dialogues."""

from dataclasses import dataclass, field

from ..errors import InputError
from ..generation.generator_settings import GeneratorSettings
from ..recipe_config import parse_mapping
from .augmentation_prompts import OPERATIONS


@dataclass
class ItemCheckSettings:
    """What is asked of an item before it may be kept."""

    near_duplicate_similarity: float = field(
        default=0.6,
        metadata={"help": "Share of 3-grams, of all that two questions have, from which on they are the same."},
    )
    min_question_characters: int = field(default=4, metadata={"help": "Shortest question."})
    max_question_characters: int = field(default=4_000, metadata={"help": "Longest question."})
    min_answer_characters: int = field(default=2, metadata={"help": "Shortest answer."})
    max_answer_characters: int = field(default=8_000, metadata={"help": "Longest answer."})
    min_score: int = field(
        default=3, metadata={"help": "Lowest grade, of 1 to 5, that the model gives its own answer; 0: do not grade."}
    )
    keep_ungraded: bool = field(
        default=False, metadata={"help": "Keep items whose grade cannot be read, for people to judge."}
    )


@dataclass
class AugmentDialoguesConfig(ItemCheckSettings, GeneratorSettings):
    """Amplifies seeds: a model writes harder instructions, more varied questions, further turns, and the answers."""

    seeds: list[str] = field(
        default_factory=lambda: ["sample"],
        metadata={"help": "Where seed dialogues come from, as `dialogues` of prepare_dialogues.py."},
    )
    output_dir: str = field(
        default="runs/augment", metadata={"help": "Folder for the journal, the review queue, the result."}
    )
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Throw away what lies in output_dir, and begin anew."}
    )
    items: int = field(default=100, metadata={"help": "Items that each round asks for."})
    rounds: int = field(
        default=1,
        metadata={"help": "Rounds; each takes what the one before kept as its seeds. More can be asked for later."},
    )
    operations: dict | str | None = field(
        default=None,
        metadata={"help": f"Weights of the operations, {','.join(f'{name}=1' for name in OPERATIONS)} by default."},
    )
    further_exchanges: int = field(default=1, metadata={"help": "Questions and answers that further_turns adds."})
    prompts: str = field(
        default="full",
        metadata={"help": "full, short (small models, short windows), or a folder with ja.yaml and en.yaml."},
    )
    max_seed_characters: int = field(default=6_000, metadata={"help": "Longer dialogues are not taken as seeds."})
    seed: int = field(default=13, metadata={"help": "Decides which seed, operation, topic and persona an item has."})
    temperature: float = field(default=0.9, metadata={"help": "Of questions and answers; grades are given at 0."})
    top_p: float = field(default=0.95, metadata={"help": "Of questions and answers."})
    question_tokens: int = field(default=768, metadata={"help": "Most tokens of a question."})
    answer_tokens: int = field(default=1536, metadata={"help": "Most tokens of an answer."})
    grade_tokens: int = field(default=256, metadata={"help": "Most tokens of a grade and what is said about it."})
    retry_failed: bool = field(default=False, metadata={"help": "Try the failed items of an earlier run once more."})
    stop_after_failures: int = field(
        default=40,
        metadata={"help": "Stop when so many items in a row have failed, since the generator is down; 0: never."},
    )
    budget: float = field(default=0.0, metadata={"help": "Stop when the replies have cost so much; 0: no limit."})
    take_unreviewed: bool = field(
        default=False, metadata={"help": "Take kept items that nobody has reviewed yet into the result, too."}
    )

    def __post_init__(self):
        self.check_generator_settings()
        weights = parse_mapping("operations", self.operations, float) or dict.fromkeys(OPERATIONS, 1.0)
        for name, weight in weights.items():
            if name not in OPERATIONS:
                raise InputError(f"operations: there is no {name!r}; known are {', '.join(OPERATIONS)}")
            if weight < 0:
                raise InputError(f"operations: the weight of {name} is negative")
        if not sum(weights.values()):
            raise InputError("operations: at least one weight must be above 0")
        self.operations = weights
        if not self.seeds:
            raise InputError("seeds is empty; name at least one JSONL file, or sample")
        for name in ("items", "rounds", "further_exchanges", "max_seed_characters", "question_tokens", "answer_tokens",
                     "grade_tokens"):  # fmt: skip
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.min_score <= 5:
            raise InputError(f"min_score must lie between 0 and 5, not {self.min_score}")
        if not 0 < self.near_duplicate_similarity <= 1:
            raise InputError(
                f"near_duplicate_similarity must lie above 0 and at most be 1, not {self.near_duplicate_similarity}"
            )
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise InputError("temperature must not be negative, and top_p must lie above 0 and at most be 1")
        for name in ("stop_after_failures", "budget"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, but is {getattr(self, name)}")
