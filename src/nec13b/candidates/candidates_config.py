"""The settings of the sampling of candidates."""

from dataclasses import dataclass, field

from ..errors import InputError
from ..generation.generator import Sampling
from ..generation.generator_settings import RunningSettings
from .answer_checks import FAULTS
from .model_entry import ModelEntry, parse_models
from .pair_choice import CRITERIA, ChoiceRule


@dataclass
class SampleCandidatesConfig(RunningSettings):
    """Has chat models answer prompts of people, several times each, and chooses the pairs that people compare."""

    prompts: list[str] = field(
        default_factory=lambda: ["sample"],
        metadata={
            "help": "Where prompts come from: sample, dialogues as in prepare_dialogues.py, or .txt, one a line."
        },
    )
    models: list[str] = field(
        default_factory=lambda: ["runs/chat_tune/model"],
        metadata={"help": "Chat models, each with its own temperature, top_p, seed, answers, ... after commas, if so "
                          "wanted; one is in memory at a time."},
    )  # fmt: skip
    output_dir: str = field(
        default="runs/candidates", metadata={"help": "Folder for pairs.jsonl, the journal of answers, the report."}
    )
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Throw away what lies in output_dir, and begin anew."}
    )
    max_prompts: int = field(default=0, metadata={"help": "Prompts that are taken, by their digests; 0: all."})
    max_prompt_characters: int = field(default=8_000, metadata={"help": "Longer prompts are set aside."})
    answers: int = field(default=4, metadata={"help": "Answers of each model to each prompt; one at temperature 0."})
    temperature: float = field(default=0.8, metadata={"help": "Of models that do not say theirs."})
    top_p: float = field(default=0.95, metadata={"help": "Of models that do not say theirs."})
    max_new_tokens: int = field(default=1024, metadata={"help": "Most tokens of an answer."})
    seed: int = field(default=13, metadata={"help": "Decides the answers; each has a seed of its own, made from it."})
    pairs_per_prompt: int = field(default=1, metadata={"help": "Most pairs of answers to a prompt."})
    near_identical: float = field(
        default=0.8, metadata={"help": "Share of 3-grams, of all that two answers have, from which on one is dropped."}
    )
    min_length_ratio: float = field(
        default=0.5, metadata={"help": "Shorter over longer, from which on two answers are of comparable length."}
    )
    pair_criteria: list[str] = field(
        default_factory=lambda: list(CRITERIA),
        metadata={"help": f"What pairs are chosen by, the first one first; some of {', '.join(CRITERIA)}."},
    )
    allowed_faults: list[str] = field(
        default_factory=list,
        metadata={"help": f"Faults that do not keep an answer out of a pair, of {', '.join(FAULTS)}."},
    )
    check_pairs: int = field(
        default=0, metadata={"help": "Planted checks: an answer against a spoiled copy, to measure drift."}
    )
    retry_failed: bool = field(default=False, metadata={"help": "Ask once more for answers that could not be had."})
    stop_after_failures: int = field(
        default=40, metadata={"help": "Stop when so many answers in a row have failed; 0: never."}
    )
    budget: float = field(default=0.0, metadata={"help": "Stop when the answers have cost so much; 0: no limit."})

    def __post_init__(self):
        self.check_generator_settings()
        if not self.prompts:
            raise InputError("prompts is empty; name at least one file, or sample")
        for name in ("max_prompt_characters", "answers", "max_new_tokens", "pairs_per_prompt"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("max_prompts", "check_pairs", "stop_after_failures", "budget"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, but is {getattr(self, name)}")
        if not 0 < self.near_identical <= 1:
            raise InputError(f"near_identical must lie above 0 and at most be 1, not {self.near_identical}")
        if not 0 <= self.min_length_ratio <= 1:
            raise InputError(f"min_length_ratio must lie between 0 and 1, not {self.min_length_ratio}")
        for name, known in (("pair_criteria", CRITERIA), ("allowed_faults", tuple(f for f in FAULTS if f != "empty"))):
            for value in getattr(self, name):
                if value not in known:
                    raise InputError(f"{name}: there is no {value!r}; known are {', '.join(known)}")
        entries = self.model_entries()
        if sum(entry.answers for entry in entries) < 2:
            raise InputError(
                "one answer to a prompt makes no pair; raise answers, name a second model, or set a temperature above 0"
            )

    def model_entries(self) -> list[ModelEntry]:
        """The models, each with its settings; raises InputError where an entry makes no sense."""
        sampling = Sampling(self.max_new_tokens, self.temperature, self.top_p)
        return parse_models(self.models, self, sampling, self.seed, self.answers)

    @property
    def choice_rule(self) -> ChoiceRule:
        """What pairs are chosen by."""
        return ChoiceRule(self.pairs_per_prompt, self.near_identical, self.min_length_ratio, tuple(self.pair_criteria),
                          tuple(self.allowed_faults))  # fmt: skip
