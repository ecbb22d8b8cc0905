"""The settings of extending the window: those of pre-training, and what interpolation and mixed lengths add."""

from dataclasses import dataclass, field
from typing import ClassVar

from ..errors import InputError
from ..pretraining import PretrainConfig
from .interpolations import INTERPOLATIONS


@dataclass
class ExtendContextConfig(PretrainConfig):
    """Continued pre-training on longer text, with interpolated rotary embeddings (section 2(4) of the paper).

    Every setting of pretrain.py is one here; sequence_length is the new window.
    """

    _VALID_DICT_FIELDS: ClassVar[list[str]] = [*PretrainConfig._VALID_DICT_FIELDS, "interpolation_options"]

    model: str | None = field(
        default=None, metadata={"help": "Checkpoint whose window is extended: nec13b or Llama, a folder or Hub name."}
    )
    interpolation: str = field(
        default="own",
        metadata={"help": f"How the frequencies are interpolated: {', '.join(INTERPOLATIONS)} (docs/long_context.md)."},
    )
    interpolation_options: dict | str | None = field(
        default=None,
        metadata={
            "help": "Fields of rope_parameters in place of what interpolation says, as JSON (method, factor, ...)."
        },
    )
    short_share: float = field(
        default=0.5,
        metadata={"help": "Share of the tokens that is short text, in sequences of the old window. 0: long text only."},
    )
    short_length: int | None = field(
        default=None, metadata={"help": "Tokens in a sequence of short text. Default: the old window."}
    )
    stages: str | None = field(
        default=None,
        metadata={
            "help": "Windows on the way, 4096 or 4096,16384: each is a run of its own with an equal part of the steps, "
            "in <output_dir>-<window>."
        },
    )

    sequence_length: int = field(default=8192, metadata={"help": "The new window, in tokens."})
    train_tokens: int = field(default=4_194_304_000, metadata={"help": "Tokens to train on, of both lengths."})
    output_dir: str | None = field(default="runs/extend_context", metadata={"help": "Folder that the run writes to."})
    learning_rate: float = field(default=2e-5, metadata={"help": "Highest learning rate."})
    min_learning_rate: float = field(default=2e-6, metadata={"help": "Learning rate at the end of the cosine."})

    def __post_init__(self):
        if self.interpolation not in INTERPOLATIONS:
            raise InputError(f"interpolation must be one of {', '.join(INTERPOLATIONS)}, not {self.interpolation!r}")
        if not 0 <= self.short_share <= 1:
            raise InputError(f"short_share must be between 0 and 1, not {self.short_share}")
        if self.packing != "concatenated":
            raise InputError("packing best_fit is for text of one length; leave it out here")
        if self.rope_parameters:
            raise InputError("rope_parameters follow from interpolation and interpolation_options; leave them out here")
        self.windows_on_the_way = self._windows_on_the_way()
        self.tokenizer = self.tokenizer or self.model
        super().__post_init__()

    def _windows_on_the_way(self) -> list[int]:
        try:
            windows = [int(part) for part in (self.stages or "").split(",") if part]
        except ValueError:
            windows = [0]
        if windows != sorted(set(windows)) or any(not 0 < window < self.sequence_length for window in windows):
            raise InputError(
                f"stages must be windows that grow towards sequence_length {self.sequence_length:,}, such as "
                f"4096,8192; not {self.stages}"
            )
        return windows

    def flags_of_runs(self) -> list[list[str]]:
        """The flags that turn these settings into those of each run in turn: one, or one a window."""
        windows = [*self.windows_on_the_way, self.sequence_length]
        runs, model = [], self.model
        first = f"{self.output_dir}-{windows[0]}"
        for number, window in enumerate(windows, start=1):
            last = number == len(windows)
            output = self.output_dir if last else f"{self.output_dir}-{window}"
            steps = self.max_steps // len(windows) + (self.max_steps % len(windows) if last else 0)
            flags = ["--stages=", f"--sequence_length={window}", f"--model={model}", f"--output_dir={output}"]
            flags.append(f"--max_steps={steps}")
            if number > 1 and not self.tokens:  # the first run has packed the corpus
                flags += [f"--tokens={first}/tokens", f"--tokenizer={self.tokenizer}"]
            runs.append(flags if self.windows_on_the_way else [])
            model = f"{output}/model"
        return runs
