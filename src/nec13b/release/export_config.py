"""The settings of an export: which model, in which forms, and where it goes."""

from dataclasses import dataclass, field

from ..errors import InputError
from .hub_push import check_target

FORMS = ("llama", "nec13b", "gguf")
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass
class ExportConfig:
    """Writes a trained model in forms that run without this project, checks them against it, and publishes them."""

    model: str = field(
        default="runs/chat_tune/model",
        metadata={"help": "Folder or Hub name of an nec13b or Llama checkpoint, or folder of a LoRA adapter."},
    )
    output_dir: str = field(default="runs/export", metadata={"help": "Folder; each form gets a folder in it."})
    overwrite_output_dir: bool = field(default=False, metadata={"help": "Replace what output_dir holds."})
    forms: list[str] = field(
        default_factory=lambda: ["llama"],
        metadata={
            "help": "llama: plain transformers, vLLM and others; nec13b: with the project's code beside the weights; "
            "gguf: one file for llama.cpp."
        },
    )
    dtype: str = field(default="auto", metadata={"help": f"Precision of the weights: {', '.join(DTYPES)} (as it is)."})
    max_shard_size: str = field(default="5GB", metadata={"help": "Largest file of weights."})
    verify: bool = field(default=True, metadata={"help": "Load each form again and compare its logits."})
    verify_tokens: int = field(
        default=0, metadata={"help": "Tokens of the long text of that comparison. 0: the window, at most 4,096."}
    )

    # The model card.
    title: str = field(default="", metadata={"help": "What the card calls the model. Default: its folder."})
    licence: str = field(
        default="",
        metadata={"help": "Licence of the weights as the Hub names it (apache-2.0); whoever trains decides."},
    )
    languages: list[str] = field(default_factory=lambda: ["ja", "en"], metadata={"help": "Languages of the model."})
    evaluations: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Folders of evaluation/jglue.py, rakuda_judge.py, rakuda_report.py, side_by_side.py or "
            "loss_by_position.py that have measured this model, for the card; FOLDER,label=NAME of a served model."
        },
    )
    limits: str = field(default="", metadata={"help": "Markdown file on limits and intended use, for the card."})

    # Where it goes.
    push_to: str = field(
        default="", metadata={"help": "owner/name on the Hub, or a local folder (with a / at its start, or ./)."}
    )
    push_form: str = field(default="llama", metadata={"help": "The form that is pushed."})
    private: bool = field(default=True, metadata={"help": "A repository that is made is private."})
    dry_run: bool = field(default=False, metadata={"help": "Say what would be written and pushed, and do neither."})

    def __post_init__(self):
        if not self.forms:
            raise InputError(f"forms is empty; name some of {', '.join(FORMS)}")
        for form in self.forms:
            if form not in FORMS:
                raise InputError(f"forms: there is no form {form!r}; there are {', '.join(FORMS)}")
        if self.dtype not in DTYPES:
            raise InputError(f"dtype must be one of {', '.join(DTYPES)}, not {self.dtype!r}")
        if self.push_to and self.push_form not in self.forms:
            raise InputError(f"push_form {self.push_form!r} is not among the forms that are written")
        if self.push_to:
            check_target(self.push_to)
        if self.verify_tokens < 0:
            raise InputError(f"verify_tokens must be at least 0, not {self.verify_tokens}")
