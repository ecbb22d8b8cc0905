"""The settings of alignment: trl's DPOConfig and what the recipe adds to it."""

from dataclasses import dataclass, field
from typing import ClassVar

from trl import DPOConfig

from ..chat_tuning.tuning_settings import TuningSettings
from ..errors import InputError
from ..preferences.preference_settings import PreferenceSettings
from .losses import LOSSES, check_losses

REFERENCES = ("precomputed", "adapter_off", "model")


@dataclass
class AlignConfig(PreferenceSettings, TuningSettings, DPOConfig):
    """Alignment of a chat model with preferences by DPO (section 5 of the paper), of all weights or of an adapter.

    Every field of trl's DPOConfig, and so of transformers' TrainingArguments, is a setting too.

    Attributes:
        tokens_of_a_pair: mean tokens of a preference's two sequences, where the data is known.
    """

    tokens_of_a_pair: ClassVar[float | None] = None

    _VALID_DICT_FIELDS: ClassVar[list[str]] = [*DPOConfig._VALID_DICT_FIELDS]
    DECISIVE: ClassVar[tuple[str, ...]] = (
        *TuningSettings.DECISIVE, "loss_type", "loss_weights", "beta", "label_smoothing", "ld_alpha",
        "f_divergence_type", "f_alpha_divergence_coef", "use_weighting", "discopop_tau", "disable_dropout",
        "sync_ref_model", "ref_model_mixup_alpha", "ref_model_sync_steps",
    )  # fmt: skip

    # What is compared.
    reference: str = field(
        default="precomputed",
        metadata={
            "help": "Where the reference's log-probabilities come from: precomputed (before the first step, kept on "
            "disk), adapter_off (the model without its adapter), or model (a second one in memory)."
        },
    )
    eval_preferences: int = field(default=200, metadata={"help": "Most held-out preferences of each source evaluated."})
    eval_samples: int = field(
        default=16,
        metadata={"help": "Held-out prompts answered at each evaluation, for KL and length. 0: none."},
    )

    # When to stop: each limit is off at 0.
    max_kl: float = field(
        default=0, metadata={"help": "Stop where the KL to the reference, nats a token of own answers, is above it."}
    )
    max_length_ratio: float = field(
        default=0, metadata={"help": "Stop where own answers are so many times as long as before the first step."}
    )
    max_chosen_drop: float = field(
        default=0, metadata={"help": "Stop where held-out chosen answers lost so many nats a token."}
    )
    max_falls: int = field(
        default=0, metadata={"help": "Stop where held-out accuracy has fallen at so many evaluations in a row."}
    )

    # Where trl, or tuning of other kinds, has other defaults.
    output_dir: str | None = field(default="runs/align", metadata={"help": "Folder that the run writes to."})
    max_length: int | None = field(
        default=2048,
        metadata={
            "help": "Most tokens of prompt and answer; a longer prompt loses its first exchanges, no answer any."
        },
    )
    rows_per_batch: int = field(default=64, metadata={"help": "Preferences in an optimizer step, over all processes."})
    lora_dropout: float = field(default=0.0, metadata={"help": "Dropout before the LoRA matrices."})
    eval_on_start: bool = field(default=True, metadata={"help": "Evaluate before the first step."})
    loss_type: list[str] = field(
        default_factory=lambda: ["sigmoid"],
        metadata={"help": f"One loss or several, weighted by loss_weights: {', '.join(LOSSES)}."},
    )

    def __post_init__(self):
        self.check_preference_settings()
        check_losses(self)
        if self.reference not in REFERENCES:
            raise InputError(f"reference must be one of {', '.join(REFERENCES)}, not {self.reference!r}")
        if self.reference == "adapter_off" and self.adapter == "none":
            raise InputError("reference adapter_off needs an adapter (lora or qlora); take precomputed or model")
        if self.precompute_ref_log_probs and self.reference != "precomputed":
            raise InputError("precompute_ref_log_probs follows from reference; leave it out")
        self.precompute_ref_log_probs = self.reference == "precomputed"
        if self.sync_ref_model and (self.reference != "model" or self.adapter != "none"):
            raise InputError("sync_ref_model needs reference model and adapter none: the reference moves with it")
        if self.padding_free:
            raise InputError("trl's DPO has no padding_free at present; leave it out")
        if self.truncation_mode != "keep_start":
            raise InputError("truncation_mode has no effect: nothing is truncated; leave it out")
        if self.lora_dropout and self.disable_dropout:
            raise InputError("lora_dropout has no effect while disable_dropout is true")
        if self.eval_preferences < 1:
            raise InputError(f"eval_preferences must be at least 1, not {self.eval_preferences}")
        for name in ("eval_samples", "max_kl", "max_length_ratio", "max_chosen_drop", "max_falls"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must be at least 0, not {getattr(self, name):g}")
        super().__post_init__()
        self._check_limits()

    @property
    def tokens_per_batch(self) -> int:
        """Tokens of an optimizer step over all processes, on average; the most, where the data is not known."""
        return round(self.rows_per_batch * (self.tokens_of_a_pair or 2 * self.max_length))

    @property
    def keeps_reference(self) -> bool:
        """Whether the reference can be asked while training: not where it was all computed before."""
        return self.adapter != "none" or self.reference == "model"

    @property
    def limits(self) -> dict[str, float]:
        """The signs of reward hacking that end the run, those that are on."""
        names = ("max_kl", "max_length_ratio", "max_chosen_drop", "max_falls")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    def _check_limits(self) -> None:
        if not self.limits:
            return
        if self.eval_strategy == "no":
            raise InputError(f"{next(iter(self.limits))} looks at evaluations; eval_strategy no has none")
        of_samples = [name for name in ("max_kl", "max_length_ratio") if name in self.limits]
        if of_samples and not self.eval_samples:
            raise InputError(f"{of_samples[0]} looks at the model's own answers; set eval_samples above 0")
        if of_samples and self.layout.strategy not in ("single", "ddp"):
            raise InputError(
                f"{of_samples[0]} looks at the model's own answers, which sharded weights cannot give while they "
                "train; max_chosen_drop and max_falls can watch this run"
            )
        if "max_kl" in self.limits and not self.keeps_reference:
            raise InputError(
                "max_kl needs a reference to ask; with all weights trained and reference precomputed there is none. "
                "Take reference model, or an adapter"
            )
        if "max_length_ratio" in self.limits and not self.eval_on_start:
            raise InputError("max_length_ratio compares with the answers before the first step; set eval_on_start true")
        # The newest checkpoint is to be one whose evaluation was good.
        if self.save_strategy == self.eval_strategy == "steps" and self.save_steps % self.eval_steps:
            raise InputError(
                f"save_steps {self.save_steps:g} is no multiple of eval_steps {self.eval_steps:g}: a checkpoint would "
                "be written that no evaluation has looked at; the limits need one"
            )
        if self.max_falls and self.save_total_limit and self.save_total_limit <= self.max_falls:
            raise InputError(
                f"max_falls {self.max_falls} needs save_total_limit above it, so that the checkpoint before the fall "
                f"is still there; it is {self.save_total_limit}"
            )
