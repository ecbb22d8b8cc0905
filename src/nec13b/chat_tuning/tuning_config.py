"""The settings of chat tuning: trl's SFTConfig and what the recipe adds to it."""

from dataclasses import dataclass, field
from typing import ClassVar

from trl import SFTConfig

from ..dialogues.dialogue_settings import DialogueSettings
from ..errors import InputError
from ..tokenization.special_tokens import IM_END
from .tuning_settings import TuningSettings


@dataclass
class ChatTuneConfig(DialogueSettings, TuningSettings, SFTConfig):
    """Chat tuning on ChatML dialogues (section 4 of the paper), of all weights or of an adapter.

    Every field of trl's SFTConfig, and so of transformers' TrainingArguments, is a setting too.
    """

    _VALID_DICT_FIELDS: ClassVar[list[str]] = [*SFTConfig._VALID_DICT_FIELDS]
    DECISIVE: ClassVar[tuple[str, ...]] = (
        *TuningSettings.DECISIVE, "packing", "assistant_only_loss", "neftune_noise_alpha",
    )  # fmt: skip

    eval_dialogues: int = field(default=200, metadata={"help": "Most held-out dialogues evaluated for each source."})
    rows_per_batch: int = field(
        default=64,
        metadata={"help": "Packed sequences (dialogues, without packing) in an optimizer step, over all processes."},
    )
    count_endings: int = field(
        default=0,
        metadata={"help": "Held-out dialogues answered at the end, to see how many answers end with <|im_end|>."},
    )

    # Where trl has other defaults.
    output_dir: str | None = field(default="runs/chat_tune", metadata={"help": "Folder that the run writes to."})
    max_length: int | None = field(
        default=2048, metadata={"help": "Tokens in a row; dialogues beyond it lose their last exchanges."}
    )
    packing: bool = field(
        default=True, metadata={"help": "Lay several dialogues into a row, each attending to itself."}
    )
    eval_packing: bool | None = field(default=False, metadata={"help": "The same for evaluation."})
    assistant_only_loss: bool = field(default=True, metadata={"help": "Only what the assistant wrote is predicted."})
    shuffle_dataset: bool = field(default=True, metadata={"help": "Shuffle the dialogues once, before packing."})
    eos_token: str | None = field(default=IM_END, metadata={"help": "What ends an answer."})

    def __post_init__(self):
        if self.eval_dialogues < 1:
            raise InputError(f"eval_dialogues must be at least 1, not {self.eval_dialogues}")
        self.check_dialogue_settings()
        super().__post_init__()
