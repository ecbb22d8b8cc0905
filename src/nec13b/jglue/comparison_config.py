"""The settings of `evaluation/jglue.py`."""

import re
from dataclasses import dataclass, field

from ..errors import InputError

LABEL = re.compile(r"[^/\\\x00-\x1f]{1,60}")


@dataclass
class JglueConfig:
    """JSQuAD and JCommonsenseQA for a list of models: a table, figure 3 of the paper, and every answer."""

    models: list[str] = field(
        default_factory=list,
        metadata={"help": "label=checkpoint: a folder or Hub name, of a model or an adapter, or a GGUF file."},
    )
    tasks: list[str] = field(
        default_factory=lambda: ["nec13b_jsquad", "nec13b_jcqa"],
        metadata={"help": "Tasks of evaluation/tasks/; nec13b_jsquad_0_2 has prompt 0.2."},
    )
    shots: int | None = field(default=None, metadata={"help": "Examples before a question. Default: 2 and 3."})
    few_shot_seeds: list[int] = field(
        default_factory=lambda: [1234],
        metadata={"help": "Each seed puts other examples before a question; intervals are over questions and seeds."},
    )
    as_jp_stable: bool = field(
        default=False, metadata={"help": "Take jp-stable's examples, whatever the seed, and encode as it does."}
    )
    jglue: str | None = field(
        default=None,
        metadata={"help": "Folder of JGLUE's files, or sample. Default: $NEC13B_JGLUE, else the Hub's copies."},
    )
    jglue_revision: str | None = field(default=None, metadata={"help": "Commit of the Hub's copies."})
    chat_template: bool = field(
        default=False, metadata={"help": "Ask in the model's chat template, an example a turn (tasks nec13b_*_chat)."}
    )
    limit: int | None = field(default=None, metadata={"help": "Only the first questions of each task, for a trial."})
    max_answer_tokens: int = field(default=256, metadata={"help": "An answer of JSQuAD ends here, or at a newline."})
    batch_size: int = field(default=8, metadata={"help": "Prompts at once."})
    dtype: str = field(default="auto", metadata={"help": "float32, bfloat16, float16 or auto (bfloat16 on a GPU)."})
    trust_remote_code: bool = field(default=False, metadata={"help": "Run code that a checkpoint brings."})
    output_dir: str = field(default="runs/jglue", metadata={"help": "Folder that the results go to."})

    def __post_init__(self):
        if self.limit is not None and self.limit < 1:
            raise InputError("limit must be at least 1")
        if self.shots is not None and self.shots < 0:
            raise InputError("shots must be at least 0")
        if self.batch_size < 1 or self.max_answer_tokens < 1:
            raise InputError("batch_size and max_answer_tokens must be at least 1")
        if self.dtype not in ("auto", "float32", "bfloat16", "float16"):
            raise InputError(f"dtype must be auto, float32, bfloat16 or float16, not {self.dtype!r}")
        if len(set(self.few_shot_seeds)) != len(self.few_shot_seeds) or not self.few_shot_seeds:
            raise InputError("few_shot_seeds must be one or more different numbers")
        if self.as_jp_stable and (len(self.few_shot_seeds) > 1 or self.chat_template):
            raise InputError("as_jp_stable has one seed and no chat template; give one of few_shot_seeds")
        if len(set(self.tasks)) != len(self.tasks) or not self.tasks:
            raise InputError("tasks must be one or more different names")
        self.checkpoints()

    def checkpoints(self) -> dict[str, str]:
        """The checkpoint of each label, in the order given.

        Raises:
            InputError: an entry is not label=checkpoint, a label comes twice or cannot name a file, or there is none.
        """
        found: dict[str, str] = {}
        for entry in self.models:
            label, equals, path = entry.partition("=")
            if not (label and equals and path):
                raise InputError(f"models: {entry!r} is not label=checkpoint")
            if not LABEL.fullmatch(label):
                raise InputError(f"models: the label {label!r} must be at most 60 characters without a slash")
            if label in found:
                raise InputError(f"models: the label {label!r} comes twice")
            found[label] = path
        if not found:
            raise InputError("--models is missing: base=runs/pretrain/model chat=runs/chat_tune/model")
        return found
