"""The settings that every recipe which reads preferences shares."""

from dataclasses import dataclass, field

from ..dialogues.dialogue_settings import CheckSettings
from ..errors import InputError
from .adjudication import AdjudicationRule

CHECKS = (
    "roles", "empty_turns", "order", "length", "special_tokens", "language", "same_answers", "near_same_answers",
    "duplicates", "near_duplicates", "contradictions",
)  # fmt: skip


@dataclass
class PreferenceSettings(AdjudicationRule, CheckSettings):
    """Which preferences are read, and what they are checked for; how judgements among them are adjudicated."""

    preferences: list[str] = field(
        default_factory=lambda: ["sample"],
        metadata={
            "help": "Where preferences come from: sample, files, folders, patterns, hub:NAME; options after commas."
        },
    )
    skip_checks: list[str] = field(
        default_factory=list, metadata={"help": f"Checks that are left out: {', '.join(CHECKS)}."}
    )
    near_same_similarity: float = field(
        default=0.95,
        metadata={"help": "Likeness of the two answers, 0 to 1, from which on they are too alike to learn from."},
    )

    def check_preference_settings(self) -> None:
        """Raises InputError where a value makes no sense."""
        self.check_message_settings(CHECKS)
        self.check_adjudication_rule()
        if not 0 < self.near_same_similarity <= 1:
            raise InputError(f"near_same_similarity must lie above 0 and not above 1, not {self.near_same_similarity}")


@dataclass
class PreparePreferencesConfig(PreferenceSettings):
    """Reads preferences of any common shape, checks them, and splits them by prompt, with a report on it all."""

    output_dir: str = field(
        default="runs/preferences", metadata={"help": "Folder for train.jsonl, held_out.jsonl, rejected.jsonl, report."}
    )
    overwrite_output_dir: bool = field(default=False, metadata={"help": "Replace the preferences in output_dir."})
    tokenizer: str | None = field(
        default=None, metadata={"help": "Tokenizer that counts tokens, for max_dialogue_tokens; a folder or Hub name."}
    )

    def __post_init__(self):
        self.check_preference_settings()
        self.check_token_counter(self.tokenizer)
