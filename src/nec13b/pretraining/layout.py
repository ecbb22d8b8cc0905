"""How the processes of a launch share the work: which of them see different sequences, and which share one.

The layout is the machine's business, so it stands in the accelerate config (`parallelism_config`), and `accelerate
launch` passes it on through the environment. Here it is read and checked. Replicas and shards each see sequences of
their own; the ranks of a tensor or context parallel group work on the same ones. The batch must be counted accordingly.
"""

import os
from dataclasses import dataclass

from accelerate import ParallelismConfig
from transformers.distributed import DistributedConfig

from ..errors import InputError

PREFIX = "PARALLELISM_CONFIG_"


@dataclass(frozen=True)
class Layout:
    """The sizes of the parallel groups; their product is the number of processes.

    Attributes:
        replicas: copies of the sharded model, among which only gradients are exchanged (HSDP).
        shards: ranks that share weights, gradients and optimizer state, each with sequences of its own (FSDP).
        context: ranks that share each sequence, a part of its tokens each.
        tensor: ranks that share each matrix product.
    """

    replicas: int = 1
    shards: int = 1
    context: int = 1
    tensor: int = 1

    @classmethod
    def from_environment(cls, world_size: int) -> "Layout":
        """The layout that `accelerate launch` passed on; without one, every process sees sequences of its own.

        Raises:
            InputError: the sizes do not multiply to the number of processes, or cannot be combined.
        """
        if os.environ.get("ACCELERATE_USE_PARALLELISM_CONFIG", "false").lower() != "true":
            return cls(shards=world_size)
        names = ("DP_REPLICATE_SIZE", "DP_SHARD_SIZE", "CP_SIZE", "TP_SIZE")
        layout = cls(*(int(os.environ.get(PREFIX + name, "1")) for name in names))
        product = layout.replicas * layout.shards * layout.context * layout.tensor
        if product != world_size:
            raise InputError(
                f"parallelism_config of the accelerate config is for {product} processes (dp_replicate "
                f"{layout.replicas} x dp_shard {layout.shards} x cp {layout.context} x tp {layout.tensor}), launched "
                f"were {world_size}; for another number of servers give --parallelism_config_dp_replicate_size or "
                "--parallelism_config_dp_shard_size too"
            )
        if layout.tensor > 1 and layout.context > 1:
            raise InputError("tensor and context parallelism cannot be combined here; set tp_size or cp_size to 1")
        return layout

    @property
    def data_ranks(self) -> int:
        """How many ranks see different sequences."""
        return self.replicas * self.shards

    def check_shape(self, num_attention_heads: int, num_key_value_heads: int | None, sequence_length: int) -> None:
        """Makes sure that a model of this shape can be divided.

        Raises:
            InputError: heads or tokens do not divide evenly.
        """
        for name, heads in (("attention", num_attention_heads), ("key-value", num_key_value_heads)):
            if heads and heads % self.tensor:
                raise InputError(
                    f"{heads} {name} heads cannot be shared by {self.tensor} tensor parallel ranks; "
                    "change tp_size in the accelerate config"
                )
        # Each rank takes a part from the front and one from the back: causal attention is the same work for all then.
        if self.context > 1 and sequence_length % (2 * self.context):
            raise InputError(
                f"sequence_length {sequence_length:,} is not a multiple of 2 x {self.context} context parallel ranks; "
                "change it, or cp_size in the accelerate config"
            )

    def accelerate_config(self) -> ParallelismConfig | None:
        """What accelerate must be told where transformers shards the model; None leaves it to accelerate's own reading.

        accelerate deals out the batches by it: the ranks of a tensor parallel group get the same ones. Replicas count
        as shards here, as in transformers' Trainer; how gradients travel is no business of accelerate's then.
        """
        if self.tensor == 1:
            return None
        return ParallelismConfig(dp_replicate_size=1, dp_shard_size=self.data_ranks, tp_size=self.tensor, cp_size=1)

    def distributed_config(self, mixed_precision: bool) -> DistributedConfig | None:
        """For `from_pretrained`, where the model is sharded as it is loaded: with tensor parallelism.

        accelerate shards the other layouts, after loading.

        Args:
            mixed_precision: compute in bfloat16, with weights and gradient sums in fp32.
        """
        if self.tensor == 1:
            return None
        return DistributedConfig(
            tp_size=self.tensor,
            fsdp_size=self.shards,
            dp_replicate_size=self.replicas,
            fsdp_mixed_precision=mixed_precision and self.data_ranks > 1,
        )

    def why_whole_logits(self) -> str | None:
        """Why the loss cannot be computed in chunks of tokens, where it cannot."""
        return "the head is shared by tensor parallel ranks" if self.tensor > 1 else None
