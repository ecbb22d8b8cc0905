"""The settings that every recipe which reads dialogues shares, and those of them that preferences share too."""

from dataclasses import dataclass, field

from ..errors import InputError

CHECKS = (
    "roles", "empty_turns", "order", "length", "special_tokens", "language", "duplicates", "near_duplicates",
)  # fmt: skip
PERSONAL_DATA = ("mask", "set_aside", "keep")


@dataclass
class CheckSettings:
    """What messages are checked for, those of dialogues as those of preferences, and how they are split."""

    skip_checks: list[str] = field(
        default_factory=list, metadata={"help": f"Checks that are left out: {', '.join(CHECKS)}."}
    )
    strict: bool = field(
        default=False, metadata={"help": "Refuse data with anything wrong in it, instead of setting that aside."}
    )
    max_dialogue_characters: int = field(
        default=32_000, metadata={"help": "Longer dialogues are set aside; all messages together."}
    )
    max_dialogue_tokens: int = field(
        default=0,
        metadata={"help": "So are those of more tokens, rendered in ChatML, where a tokenizer is there; 0: any."},
    )
    languages: list[str] = field(
        default_factory=lambda: ["ja", "en"], metadata={"help": "Languages that an assistant may answer in."}
    )
    min_language_characters: int = field(
        default=60, metadata={"help": "Answers of fewer characters, code aside, are not judged by language."}
    )
    min_language_probability: float = field(
        default=0.9, metadata={"help": "How sure it must be, 0 to 1, that an answer is in another language."}
    )
    personal_data: str = field(
        default="mask", metadata={"help": "Mail addresses, phone and card numbers: mask, set_aside or keep."}
    )
    near_similarity: float = field(
        default=0.7, metadata={"help": "Estimated likeness, 0 to 1, from which on the later of two goes."}
    )
    held_out_fraction: float = field(
        default=0.02, metadata={"help": "Share of the data, by hash of its opening, that is kept for evaluation."}
    )

    def check_message_settings(self, checks: tuple[str, ...]) -> None:
        """Raises InputError where a value makes no sense.

        Args:
            checks: those that there are.
        """
        for name in self.skip_checks:
            if name not in checks:
                raise InputError(f"skip_checks: there is no check {name!r}; there are {', '.join(checks)}")
        if self.personal_data not in PERSONAL_DATA:
            raise InputError(f"personal_data must be one of {', '.join(PERSONAL_DATA)}, not {self.personal_data!r}")
        if not self.languages and "language" not in self.skip_checks:
            raise InputError("languages is empty; name some, or leave the check out with --skip_checks language")
        for name in ("max_dialogue_tokens", "min_language_characters"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must be at least 0, not {getattr(self, name)}")
        if self.max_dialogue_characters < 1:
            raise InputError(f"max_dialogue_characters must be at least 1, not {self.max_dialogue_characters}")
        for name in ("min_language_probability", "near_similarity"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"{name} must lie above 0 and not above 1, not {getattr(self, name)}")
        if not 0 <= self.held_out_fraction < 1:
            raise InputError(f"held_out_fraction must lie between 0 and 1, not {self.held_out_fraction}")

    def check_token_counter(self, tokenizer: str | None) -> None:
        """Raises InputError where tokens are bounded and nothing is named that counts them."""
        if self.max_dialogue_tokens and not tokenizer:
            raise InputError("max_dialogue_tokens needs a tokenizer that counts them; name one with --tokenizer")


@dataclass
class DialogueSettings(CheckSettings):
    """Which dialogues are read, and what they are checked for."""

    dialogues: list[str] = field(
        default_factory=lambda: ["sample"],
        metadata={
            "help": "Where dialogues come from: sample, files, folders, patterns, hub:NAME; options after commas."
        },
    )
    cut_unanswered: bool = field(
        default=False, metadata={"help": "Cut what follows the last answer, instead of setting the dialogue aside."}
    )

    def check_dialogue_settings(self) -> None:
        """Raises InputError where a value makes no sense."""
        self.check_message_settings(CHECKS)


@dataclass
class PrepareDialoguesConfig(DialogueSettings):
    """Reads dialogues of any common shape, checks them, and splits them for chat tuning, with a report on it all."""

    output_dir: str = field(
        default="runs/dialogues", metadata={"help": "Folder for train.jsonl, held_out.jsonl, rejected.jsonl, report."}
    )
    overwrite_output_dir: bool = field(default=False, metadata={"help": "Replace the dialogues in output_dir."})
    tokenizer: str | None = field(
        default=None, metadata={"help": "Tokenizer that counts tokens, for max_dialogue_tokens; a folder or Hub name."}
    )

    def __post_init__(self):
        self.check_dialogue_settings()
        self.check_token_counter(self.tokenizer)
