"""The settings of pre-training: transformers' TrainingArguments and what the paper's recipe adds to them."""

import importlib.util
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from transformers import TrainingArguments

from ..errors import InputError
from ..recipe_config import parse_mapping
from ..tokenization.settings import TokenizerSettings
from .layout import Layout
from .packing import PACKINGS

DECISIVE_SETTINGS = (
    "packing", "attend_across_documents",
    "sequence_length", "tokens_per_batch", "max_steps", "seed", "learning_rate", "min_learning_rate", "warmup_steps",
    "lr_scheduler_type", "optim", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm",
    "bf16", "fp16",
)  # fmt: skip

REPORTERS = ("wandb", "tensorboard")  # extras of this package
CHOICES = {
    "attn_implementation": ("auto", "sdpa", "flash_attention_2", "flex_attention", "eager"),
    "fused_kernels": ("auto", "torch", "liger"),
    "on_bad_step": ("stop", "skip", "rewind"),
    "packing": PACKINGS,
}


@dataclass
class PackTokensConfig(TokenizerSettings):
    """Tokenises a corpus once, into memory-mapped shards; trains the tokenizer where none is given."""

    output_dir: str = field(
        default="runs/data", metadata={"help": "Folder for tokens/, tokenizer/ (if trained here) and rejected.jsonl."}
    )
    tokenizer: str | None = field(
        default=None, metadata={"help": "Tokenizer folder or Hub name. Default: trained on the corpus."}
    )
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Make tokens anew even where output_dir holds those of another corpus."}
    )
    sequence_length: int = field(
        default=2048, metadata={"help": "Only for the report: what packing does at this length. Shards have none."}
    )

    def __post_init__(self):
        if self.sequence_length < 1:
            raise InputError(f"sequence_length must be at least 1, not {self.sequence_length}")
        self.check_corpus_settings()


@dataclass
class PretrainConfig(TokenizerSettings, TrainingArguments):
    """Pre-training of the 13B model's shape, at any size (section 2(3) of the paper).

    Every field of transformers' TrainingArguments is a setting too. The unit of the batch is tokens: gradient
    accumulation follows from tokens_per_batch and the number of processes.
    """

    _VALID_DICT_FIELDS: ClassVar[list[str]] = [*TrainingArguments._VALID_DICT_FIELDS, "mixture", "rope_parameters"]

    # What goes in.
    tokens: str | None = field(
        default=None,
        metadata={"help": "Folder of packed tokens (recipes/pack_tokens.py). Default: made from corpus."},
    )
    tokenizer: str | None = field(
        default=None,
        metadata={"help": "Tokenizer folder or Hub name (recipes/train_tokenizer.py). Default: trained on corpus."},
    )
    model: str | None = field(
        default=None,
        metadata={"help": "Checkpoint to go on from (nec13b or Llama). Default: random weights of the shape below."},
    )
    mixture: dict | str | None = field(
        default=None,
        metadata={
            "help": "Proportion of tokens by domain, ja=0.45,en=0.35,code=0.2 or JSON. Default: that of the cleansing."
        },
    )

    # The shape of the model; the defaults are the paper's 13B.
    hidden_size: int = field(default=5120, metadata={"help": "Width of the residual stream."})
    intermediate_size: int = field(default=13824, metadata={"help": "Width of the feed-forward layers."})
    num_hidden_layers: int = field(default=40, metadata={"help": "Number of layers."})
    num_attention_heads: int = field(default=40, metadata={"help": "Number of attention heads."})
    num_key_value_heads: int | None = field(
        default=None, metadata={"help": "Number of key-value heads (grouped-query attention). Default: all heads."}
    )
    rope_parameters: dict | str | None = field(
        default=None, metadata={"help": "Rotary embedding parameters, as JSON. Default: theta 10000."}
    )
    attn_implementation: str = field(
        default="auto",
        metadata={
            "help": "Attention backend: sdpa, flash_attention_2, flex_attention or eager. auto: flash_attention_2 on a "
            "GPU in bf16 where flash-attn is installed, sdpa elsewhere."
        },
    )
    loss_chunk_tokens: int = field(
        default=-1,
        metadata={
            "help": "Tokens whose logits are held at once by the loss. -1: chosen by device; 0: the whole batch."
        },
    )
    fused_kernels: str = field(
        default="auto",
        metadata={
            "help": "Norms, rotary embedding and SwiGLU: torch, liger, or auto (Liger on a GPU where installed)."
        },
    )
    compile_layers: bool = field(
        default=False, metadata={"help": "torch.compile each layer; the first steps take longer."}
    )

    # The batch and the length of the run, in tokens.
    sequence_length: int = field(default=2048, metadata={"help": "Tokens in a training sequence."})
    tokens_per_batch: int = field(
        default=4_194_304, metadata={"help": "Tokens in an optimizer step, over all processes."}
    )
    train_tokens: int = field(
        default=260_000_000_000,
        metadata={"help": "Tokens to train on; the number of steps follows (max_steps overrides)."},
    )
    packing: str = field(
        default="concatenated",
        metadata={
            "help": "concatenated: sequences are cut from the stream of documents. best_fit: documents are laid into "
            "sequences whole where they fit (docs/data.md)."
        },
    )
    attend_across_documents: bool = field(
        default=True,
        metadata={"help": "Treat a sequence as one text. False: attention and predictions stay within a document."},
    )
    eval_sequences: int = field(default=512, metadata={"help": "Most held-out sequences evaluated for each domain."})

    # What is watched.
    on_bad_step: str = field(
        default="stop",
        metadata={
            "help": "Where the loss is no number or leaps up: stop, skip (leave the step out), or rewind (to the last "
            "whole checkpoint, then leave it out). The batch is kept in bad_steps/."
        },
    )
    spike_threshold: float = field(
        default=2.0,
        metadata={
            "help": "Nats above the median of the last 100 losses that count as a leap. 0: only nan and infinity."
        },
    )
    most_bad_steps: int = field(default=10, metadata={"help": "Steps left out before the run stops all the same."})
    domain_loss_steps: int = field(
        default=10,
        metadata={
            "help": "Steps between two training losses by domain (loss_ja, ...); in fp32 such a step takes a little "
            "longer. 0: none."
        },
    )
    time_split_steps: int = field(
        default=0,
        metadata={"help": "Steps between two that are profiled for the time spent in communication. 0: none."},
    )

    cpu_threads: int = field(
        default=0, metadata={"help": "Threads of each process on the CPU. 0: the cores, shared among the processes."}
    )

    # What is written.
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Throw away what output_dir holds instead of going on from it."}
    )
    sample_prompts: list[str] = field(
        default_factory=list,
        metadata={"help": "Prompts continued before and after training, into samples.md. Empty: no samples."},
    )
    sample_tokens: int = field(default=64, metadata={"help": "Tokens generated for each prompt."})

    # The paper's optimisation, where TrainingArguments has other defaults.
    output_dir: str | None = field(default="runs/pretrain", metadata={"help": "Folder that the run writes to."})
    learning_rate: float = field(default=1e-4, metadata={"help": "Highest learning rate."})
    min_learning_rate: float = field(default=1e-5, metadata={"help": "Learning rate at the end of the cosine."})
    lr_scheduler_type: str = field(
        default="cosine_with_min_lr",
        metadata={"help": "Schedule; the default falls from learning_rate to min_learning_rate."},
    )
    warmup_steps: float = field(
        default=0.01, metadata={"help": "Warm-up, in steps, or as a share of all where below 1."}
    )
    adam_beta2: float = field(default=0.95, metadata={"help": "AdamW's second-moment decay."})
    weight_decay: float = field(default=0.1, metadata={"help": "AdamW's weight decay (not on norms and biases)."})
    max_grad_norm: float = field(default=1.0, metadata={"help": "Gradients are clipped to this norm."})
    logging_steps: float = field(default=1, metadata={"help": "Steps between two points of the loss curve."})
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "Hide a loss that is not a number."})
    eval_strategy: str = field(default="steps", metadata={"help": "When to evaluate: steps or no."})
    eval_steps: float | None = field(default=1000, metadata={"help": "Steps between evaluations."})
    save_steps: float = field(default=1000, metadata={"help": "Steps between checkpoints."})
    save_total_limit: int | None = field(default=2, metadata={"help": "Newest checkpoints kept."})
    keep_every_steps: int = field(
        default=0, metadata={"help": "Keep checkpoints at multiples of this many steps for good. 0: none."}
    )
    checkpoint_in_background: bool = field(
        default=True, metadata={"help": "Write a checkpoint while training goes on; needs a copy of it in host memory."}
    )
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "Leave out of a batch what the model's forward does not name."}
    )
    ddp_find_unused_parameters: bool | None = field(
        default=False, metadata={"help": "Look for parameters without gradient; every one of this model has one."}
    )
    report_to: None | str | list[str] = field(  # noqa: RUF036 - the parser reads the union in this order
        default="none", metadata={"help": "wandb, tensorboard or none. WANDB_MODE=offline works without network."}
    )

    def __post_init__(self):
        self.mixture = parse_mapping("mixture", self.mixture, float)
        for name in ("sequence_length", "tokens_per_batch", "train_tokens", "vocab_size", "eval_sequences"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}")
        self.check_corpus_settings()
        self._check_reporters()
        if self.gradient_accumulation_steps != 1:
            raise InputError("gradient_accumulation_steps follows from tokens_per_batch; leave it out")
        if self.lr_scheduler_type == "cosine_with_min_lr" and not self.lr_scheduler_kwargs:
            # As a share: the other way asks the optimizer for its defaults, which DeepSpeed's has not.
            self.lr_scheduler_kwargs = {"min_lr_rate": self.min_learning_rate / self.learning_rate}
        # Without this, several processes on a machine with no GPU would not know of each other.
        self.use_cpu = self.use_cpu or not torch.accelerator.is_available()
        super().__post_init__()
        self.dataloader_pin_memory = self.dataloader_pin_memory and self.device.type == "cuda"
        if self.max_steps <= 0:
            self.max_steps = self.train_tokens // self.tokens_per_batch
        if self.max_steps == 0:
            raise InputError(
                f"train_tokens {self.train_tokens:,} is less than one batch of {self.tokens_per_batch:,} tokens"
            )
        self.layout = self.find_layout()
        if self.layout.context > 1 and not self.attend_across_documents:
            # torch's context parallelism knows causal attention only and would silently let documents see each other.
            raise InputError(
                "attend_across_documents false needs each sequence whole on one GPU; leave context parallelism out of "
                "the accelerate config, or let attention cross documents"
            )
        self.layout.check_shape(self.num_attention_heads, self.num_key_value_heads, self.sequence_length)
        self.parallelism_config = self.layout.accelerate_config()
        self.gradient_accumulation_steps = accumulation_steps(
            self.tokens_per_batch, self.sequence_length, self.per_device_train_batch_size, self.layout.data_parallel
        )
        self._accumulate_in_shards()

    def _check_reporters(self) -> None:
        names = [self.report_to] if isinstance(self.report_to, str) else self.report_to or []
        for name in names:
            if name in REPORTERS and importlib.util.find_spec(name) is None:
                raise InputError(f"report_to {name} needs the package {name}: pip install nec13b[{name}]")

    def find_layout(self) -> Layout:
        """How the processes of this run share the work."""
        return Layout.from_environment(self.world_size, "bf16" if self.bf16 else "fp16" if self.fp16 else "no")

    def _accumulate_in_shards(self) -> None:
        """Has FSDP reduce the gradients of every forward pass, so that sums of them are held in shards too.

        Otherwise each process would keep the gradients of the whole model from pass to pass, 26 GB of them at 13B.
        """
        sharded = self.layout.strategy == "fsdp" and not self.layout.sharded_at_load
        accumulation = self.accelerator_config.gradient_accumulation_kwargs or {}
        if sharded and self.gradient_accumulation_steps > 1:
            self.accelerator_config.gradient_accumulation_kwargs = {"sync_each_batch": True, **accumulation}

    def decisive_settings(self) -> dict:
        """The settings that, with the data and the model, fix the trajectory of the loss."""
        values = {name: getattr(self, name) for name in DECISIVE_SETTINGS}
        return {name: str(value) if name in ("lr_scheduler_type", "optim") else value for name, value in values.items()}

    @property
    def sequences_per_batch(self) -> int:
        """Sequences in one optimizer step over all processes."""
        return self.tokens_per_batch // self.sequence_length


def accumulation_steps(
    tokens_per_batch: int, sequence_length: int, per_device_train_batch_size: int, data_ranks: int
) -> int:
    """How many forward passes each process makes for one optimizer step.

    Args:
        tokens_per_batch: tokens in an optimizer step.
        sequence_length: tokens in a sequence.
        per_device_train_batch_size: sequences in a forward pass.
        data_ranks: processes that see different sequences; without tensor or context parallelism, all of them.

    Raises:
        InputError: the processes cannot share the batch evenly; the message names batch sizes that fit.
    """
    tokens_per_pass = sequence_length * per_device_train_batch_size * data_ranks
    steps, rest = divmod(tokens_per_batch, tokens_per_pass)
    if steps and not rest:
        return steps
    lower, upper = steps * tokens_per_pass, (steps + 1) * tokens_per_pass
    nearest = f"{lower:,} or {upper:,}" if lower else f"{upper:,}"
    raise InputError(
        f"tokens_per_batch {tokens_per_batch:,} is not a multiple of sequence_length {sequence_length:,} x "
        f"per_device_train_batch_size {per_device_train_batch_size} x {data_ranks} processes = {tokens_per_pass:,}; "
        f"use tokens_per_batch {nearest}, or another per_device_train_batch_size"
    )
