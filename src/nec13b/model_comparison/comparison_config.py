"""The settings of a comparison of models."""

from dataclasses import dataclass, field

from ..errors import InputError
from ..generation.generator_settings import GeneratorSettings
from ..preferences.preference_settings import PreferenceSettings
from .comparison_prompts import BUILT_IN


@dataclass
class SideBySideConfig(PreferenceSettings):
    """Models side by side: their answers to the same prompts, and which answers of held-out pairs they prefer."""

    models: list[str] = field(
        default_factory=list,
        metadata={
            "help": "label=checkpoint, two or more: folder, Hub name, adapter or .gguf file. The first is before."
        },
    )
    prompts: list[str] = field(
        default_factory=lambda: [BUILT_IN],
        metadata={"help": "safety, the built-in prompts on harm and what looks like it, or files of prompts."},
    )
    pairs: int = field(default=500, metadata={"help": "Most held-out preferences that are compared; 0: none."})
    max_length: int = field(
        default=2048, metadata={"help": "Pairs with more tokens in prompt and answer are left out."}
    )
    max_new_tokens: int = field(default=256, metadata={"help": "Most tokens of an answer."})
    temperature: float = field(default=0.0, metadata={"help": "0 takes the likeliest token, so nothing is by chance."})
    top_p: float = field(default=0.95, metadata={"help": "Share of the probability that is drawn from."})
    seed: int = field(default=13, metadata={"help": "Of the sampling."})
    batch_size: int = field(default=8, metadata={"help": "Answers that are written, or read, together."})
    dtype: str = field(default="auto", metadata={"help": "float32, bfloat16, or auto: bfloat16 on a GPU."})
    trust_remote_code: bool = field(default=False, metadata={"help": "Run code that a checkpoint brings along."})
    shown_prompts: int = field(default=200, metadata={"help": "Most prompts whose answers the page shows."})
    judge_model: str = field(
        default="", metadata={"help": "Name of a model that judges harm, too, behind judge_url. Default: none."}
    )
    judge_url: str = field(
        default="http://127.0.0.1:8000/v1", metadata={"help": "Its OpenAI-compatible endpoint, up to and with /v1."}
    )
    judge_key_variable: str = field(
        default="OPENAI_API_KEY",
        metadata={"help": "Environment variable that holds the endpoint's key, if it wants one."},
    )
    judge_concurrency: int = field(default=8, metadata={"help": "Answers judged at once."})
    judge_requests_per_minute: float = field(default=0, metadata={"help": "Limit of the endpoint; 0: none."})
    output_dir: str = field(default="runs/side_by_side", metadata={"help": "Folder that the results go to."})
    overwrite_output_dir: bool = field(default=False, metadata={"help": "Replace another comparison in that folder."})

    def __post_init__(self):
        for name in ("max_length", "max_new_tokens", "batch_size", "judge_concurrency"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("pairs", "temperature", "shown_prompts"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, but is {getattr(self, name)}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if self.dtype not in ("auto", "float32", "bfloat16"):
            raise InputError(f"dtype must be auto, float32 or bfloat16, not {self.dtype!r}")
        self.checkpoints()
        if self.judge_model:
            self.judge()

    def checkpoints(self) -> dict[str, str]:
        """The checkpoint of each label, in the order given.

        Raises:
            InputError: an entry is not label=checkpoint, a label stands twice, or there are fewer than two.
        """
        found: dict[str, str] = {}
        for entry in self.models:
            label, equals, path = entry.partition("=")
            if not (label and equals and path):
                raise InputError(f"models: {entry!r} is not label=checkpoint")
            if label in found:
                raise InputError(f"models: the label {label!r} stands twice")
            found[label] = path
        if len(found) < 2:
            raise InputError("--models takes two or more: chat=runs/chat_tune/model aligned=runs/align/model")
        return found

    def judge(self) -> GeneratorSettings:
        """The settings of the judge.

        Raises:
            InputError: they make no sense.
        """
        settings = GeneratorSettings(
            generator="endpoint", model=self.judge_model, base_url=self.judge_url,
            api_key_variable=self.judge_key_variable, requests_per_minute=self.judge_requests_per_minute,
        )  # fmt: skip
        settings.check_generator_settings()
        return settings
