"""The settings that every recipe which tunes a model with one of trl's trainers shares."""

import importlib.util
import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch

from ..errors import InputError
from ..pretraining.layout import Layout

ADAPTERS = ("none", "lora", "qlora")


@dataclass
class TuningSettings:
    """What is tuned, how, and where to; stands before one of trl's configs in the list of bases.

    Attributes:
        DECISIVE: the settings that fix the trajectory of the loss, by name.
    """

    DECISIVE: ClassVar[tuple[str, ...]] = (
        "adapter", "lora_rank", "lora_alpha", "lora_dropout", "lora_modules", "max_length", "rows_per_batch",
        "num_train_epochs", "max_steps", "seed", "learning_rate", "warmup_steps", "lr_scheduler_type", "optim",
        "weight_decay", "adam_beta1", "adam_beta2", "max_grad_norm", "bf16", "fp16",
    )  # fmt: skip

    # What goes in.
    model: str | None = field(
        default=None, metadata={"help": "Checkpoint to tune: folder, Hub name, or a .gguf file (nec13b or Llama)."}
    )
    tokenizer: str | None = field(default=None, metadata={"help": "Its tokenizer. Default: the one beside the model."})
    add_chat_tokens: bool = field(
        default=False, metadata={"help": "Add ChatML's two tokens to a vocabulary that lacks them."}
    )

    # What is trained.
    adapter: str = field(
        default="none", metadata={"help": "none: all weights; lora; qlora: LoRA on weights of 4 bits (GPU)."}
    )
    lora_rank: int = field(default=16, metadata={"help": "Rank of the LoRA matrices."})
    lora_alpha: int = field(default=32, metadata={"help": "LoRA's scale; the update is multiplied by alpha / rank."})
    lora_dropout: float = field(default=0.05, metadata={"help": "Dropout before the LoRA matrices."})
    lora_modules: str = field(
        default="all-linear", metadata={"help": "Layers with LoRA: all-linear, or names with commas (q_proj,v_proj)."}
    )
    merge_adapter: bool = field(
        default=False, metadata={"help": "Write the adapter's sum with the base as a whole model too."}
    )
    rows_per_batch: int = field(
        default=64, metadata={"help": "Rows of the data in an optimizer step, over all processes."}
    )
    attn_implementation: str = field(
        default="auto",
        metadata={"help": "Attention backend: sdpa, flash_attention_2, flex_attention or eager; auto as pre-training."},
    )
    cpu_threads: int = field(
        default=0, metadata={"help": "Threads of each process on the CPU. 0: the cores, shared among the processes."}
    )
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Throw away what output_dir holds instead of going on from it."}
    )
    sample_questions: list[str] = field(
        default_factory=list, metadata={"help": "Questions answered at each evaluation, into samples.md."}
    )
    sample_tokens: int = field(default=128, metadata={"help": "Most tokens of such an answer."})

    # Where trl has other defaults.
    activation_checkpointing: bool | None = field(
        default=False, metadata={"help": "Compute activations again where the backward pass needs them."}
    )
    lr_scheduler_type: str = field(default="cosine", metadata={"help": "Schedule of the learning rate."})
    warmup_steps: float = field(default=0.03, metadata={"help": "Warm-up, in steps, or as a share of all below 1."})
    logging_steps: float = field(default=1, metadata={"help": "Steps between two points of the loss curve."})
    eval_strategy: str = field(default="steps", metadata={"help": "When to evaluate: steps, epoch or no."})
    save_total_limit: int | None = field(default=2, metadata={"help": "Newest checkpoints kept."})
    keep_every_steps: int = field(
        default=0, metadata={"help": "Keep checkpoints at multiples of this many steps for good. 0: none."}
    )
    report_to: None | str | list[str] = field(  # noqa: RUF036 - the parser reads the union in this order
        default="none", metadata={"help": "wandb, tensorboard or none. WANDB_MODE=offline works without network."}
    )

    def __post_init__(self):
        if self.adapter not in ADAPTERS:
            raise InputError(f"adapter must be one of {', '.join(ADAPTERS)}, not {self.adapter!r}")
        for name in ("rows_per_batch", "lora_rank", "sample_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.max_length or self.max_length < 2:
            raise InputError(f"max_length must be at least 2, not {self.max_length}")
        if self.gradient_accumulation_steps != 1:
            raise InputError("gradient_accumulation_steps follows from rows_per_batch; leave it out")
        if self.merge_adapter and self.adapter == "none":
            raise InputError("merge_adapter needs an adapter: lora or qlora")
        # Without this, several processes on a machine with no GPU would not know of each other.
        self.use_cpu = self.use_cpu or not torch.accelerator.is_available()
        super().__post_init__()
        self.dataloader_pin_memory = self.dataloader_pin_memory and self.device.type == "cuda"
        self.fit_to(self.find_layout())

    def find_layout(self) -> Layout:
        """How the processes of this run share the model and the data."""
        self._check_adapter()
        return Layout.from_environment(self.world_size, "bf16" if self.bf16 else "fp16" if self.fp16 else "no")

    def fit_to(self, layout: Layout) -> None:
        """Deals the rows of a step out to the processes of a layout.

        Raises:
            InputError: they do not divide evenly, or the layout splits a row.
        """
        rows, rest = divmod(self.rows_per_batch, self.per_device_train_batch_size * layout.data_parallel)
        if rest or not rows:
            raise InputError(
                f"rows_per_batch {self.rows_per_batch} is not a multiple of per_device_train_batch_size "
                f"{self.per_device_train_batch_size} x {layout.data_parallel} processes"
            )
        self.gradient_accumulation_steps, self.layout = rows, layout
        if self.layout.tensor > 1 or self.layout.context > 1:
            raise InputError(
                "tuning keeps every row whole on one process; use an accelerate config without tp_size and cp_size"
            )

    def _check_adapter(self) -> None:
        if self.adapter == "qlora":
            if self.device.type != "cuda":
                raise InputError("adapter qlora needs a GPU; lora trains anywhere")
            if importlib.util.find_spec("bitsandbytes") is None:
                raise InputError("adapter qlora needs the package bitsandbytes: pip install nec13b[qlora]")

    def decisive_settings(self) -> dict:
        """The settings that, with the data and the model, fix the trajectory of the loss."""
        values = {name: getattr(self, name) for name in self.DECISIVE}
        return {name: str(value) if name in ("lr_scheduler_type", "optim") else value for name, value in values.items()}

    @property
    def tokens_per_batch(self) -> int:
        """The most tokens of an optimizer step, over all processes."""
        return self.rows_per_batch * self.max_length

    def steps(self, rows: int) -> int:
        """Optimizer steps for so many rows, as transformers' Trainer counts them."""
        if self.max_steps > 0:
            return self.max_steps
        return math.ceil(self.num_train_epochs * math.ceil(rows / self.rows_per_batch))
