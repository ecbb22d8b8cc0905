"""How a run is spread over processes: which hold copies, shards or parts of the model, and which sequences they see.

The layout is the machine's business, so it stands in the accelerate config. `accelerate launch` passes it on through
the environment, and the plan reads the file itself. Replicas and shards each see sequences of their own; the ranks of a
tensor or context parallel group work on the same ones. The batch is counted accordingly.
"""

import math
import os
from dataclasses import dataclass

from accelerate import ParallelismConfig
from transformers.distributed import DistributedConfig

from ..errors import InputError

STRATEGIES = ("single", "ddp", "fsdp", "zero1", "zero2", "zero3")
PRECISIONS = ("no", "bf16", "fp16")
SIZES = {"replicate": "dp_replicate_size", "shard": "dp_shard_size", "tensor": "tp_size", "context": "cp_size"}


@dataclass(frozen=True)
class Layout:
    """Processes and what each of them holds; `processes = replicate x shard x tensor x context`.

    Ranks run as accelerate's device mesh orders them: tensor fastest, then context, shard and replicate, machine after
    machine.

    Attributes:
        machines: servers.
        processes: GPUs in all (processes, on a CPU).
        strategy: single, ddp, fsdp (FSDP2), zero1, zero2 or zero3 (DeepSpeed).
        replicate: copies of the sharded model that train on different data.
        shard: processes that share one copy's state and train on different data. With DeepSpeed all processes.
        tensor: processes that split every layer (tensor parallel) and train on the same data.
        context: processes that split every sequence (context parallel).
        mixed_precision: no, bf16 or fp16.
        reshard_after_forward: FSDP gathers the weights of a layer again for the backward pass (ZeRO-3) instead of
            keeping them (ZeRO-2).
        offload_optimizer: AdamW's state and step are on the host.
        offload_parameters: the weights too; they are copied to the GPU where they are used.
        activation_checkpointing: FSDP's own activation checkpointing is on.
        sharded_at_load: transformers shards the model as it loads it (DistributedConfig), by FSDP2 as well, and
            accelerate only deals out the data.
        use_cpu: the processes run on CPUs.
    """

    machines: int = 1
    processes: int = 1
    strategy: str = "single"
    replicate: int = 1
    shard: int = 1
    tensor: int = 1
    context: int = 1
    mixed_precision: str = "no"
    reshard_after_forward: bool = True
    offload_optimizer: bool = False
    offload_parameters: bool = False
    activation_checkpointing: bool = False
    sharded_at_load: bool = False
    use_cpu: bool = False

    def __post_init__(self):
        if self.strategy not in STRATEGIES:
            raise InputError(f"strategy {self.strategy!r} is none of {', '.join(STRATEGIES)}")
        if self.mixed_precision not in PRECISIONS:
            raise InputError(f"mixed_precision {self.mixed_precision!r} is none of {', '.join(PRECISIONS)}")
        for name in ("machines", "processes", *SIZES):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.processes % self.machines:
            raise InputError(f"{self.processes} processes do not spread evenly over {self.machines} machines")
        product = self.replicate * self.shard * self.tensor * self.context
        if product != self.processes:
            raise InputError(
                f"replicate {self.replicate} x shard {self.shard} x tensor {self.tensor} x context {self.context} = "
                f"{product}, but there are {self.processes} processes"
            )

    @property
    def data_parallel(self) -> int:
        """Processes that see different sequences; the batch is divided among them."""
        return self.processes // (self.tensor * self.context)

    @property
    def processes_per_machine(self) -> int:
        """GPUs in a server."""
        return self.processes // self.machines

    @property
    def shard_ways(self) -> int:
        """Into how many parts one copy of the state is cut, beside tensor parallelism.

        FSDP2 shards over accelerate's joint mesh dimension `dp_shard_cp`.
        """
        return self.shard * self.context

    @property
    def reduces_once(self) -> bool:
        """Whether gradients of an accumulation stay whole on every process until its last pass.

        So Trainer does under FSDP2. Under HSDP of a model that was sharded at load, only the replicas wait.
        """
        return self.strategy == "fsdp" and self.shard_ways > 1 and not (self.sharded_at_load and self.replicate > 1)

    @classmethod
    def from_accelerate_config(
        cls, path: str | os.PathLike, num_machines: int | None = None, num_processes: int | None = None
    ) -> "Layout":
        """The layout that `accelerate launch --config_file path [--num_machines] [--num_processes]` makes.

        Raises:
            InputError: the file does not exist, is no accelerate config, its sizes do not fit the processes, or it asks
                for something that the pre-training recipe does not do.
        """
        from .layout_files import layout_of_file

        return layout_of_file(path, num_machines, num_processes)

    @classmethod
    def from_environment(cls, processes: int, mixed_precision: str = "no") -> "Layout":
        """The layout that `accelerate launch` has passed on to this process.

        Args:
            processes: how many were launched.
            mixed_precision: no, bf16 or fp16, of the recipe's settings.

        Raises:
            InputError: the sizes do not multiply to the number of processes, or cannot be combined.
        """
        machines = max(1, processes // int(os.environ.get("LOCAL_WORLD_SIZE", processes)))
        settings = {"machines": machines, "processes": processes, "mixed_precision": mixed_precision}
        if _is_set("ACCELERATE_USE_PARALLELISM_CONFIG"):
            sizes = {name: int(os.environ.get(f"PARALLELISM_CONFIG_{key.upper()}", "1")) for name, key in SIZES.items()}
            if math.prod(sizes.values()) != processes:
                raise InputError(
                    f"parallelism_config of the accelerate config is for {math.prod(sizes.values())} processes "
                    f"(dp_replicate {sizes['replicate']} x dp_shard {sizes['shard']} x cp {sizes['context']} x tp "
                    f"{sizes['tensor']}), launched were {processes}; for another number of servers give "
                    "--parallelism_config_dp_replicate_size or --parallelism_config_dp_shard_size too"
                )
            if sizes["tensor"] > 1 and sizes["context"] > 1:
                raise InputError("tensor and context parallelism cannot be combined here; set tp_size or cp_size to 1")
            settings |= {"strategy": "fsdp", "sharded_at_load": sizes["tensor"] > 1, **sizes}
        elif _is_set("ACCELERATE_USE_FSDP"):
            settings |= {"strategy": "fsdp", "shard": processes}
        elif _is_set("ACCELERATE_USE_DEEPSPEED"):
            stage = os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2")
            settings |= {"strategy": f"zero{stage}", "shard": processes}
        else:
            settings |= {"strategy": "ddp" if processes > 1 else "single", "replicate": processes}
        if settings["strategy"] == "fsdp":
            offload = _is_set("FSDP_OFFLOAD_PARAMS")
            settings |= {
                "reshard_after_forward": _is_set("FSDP_RESHARD_AFTER_FORWARD", "true"),
                "offload_optimizer": offload,
                "offload_parameters": offload,
                "activation_checkpointing": _is_set("FSDP_ACTIVATION_CHECKPOINTING"),
            }
        return cls(**settings)

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
        return ParallelismConfig(dp_replicate_size=1, dp_shard_size=self.data_parallel, tp_size=self.tensor, cp_size=1)

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
            fsdp_size=self.shard,
            dp_replicate_size=self.replicate,
            fsdp_mixed_precision=mixed_precision and self.data_parallel > 1,
        )

    def why_whole_logits(self) -> str | None:
        """Why the loss cannot be computed in chunks of tokens, where it cannot."""
        if self.tensor > 1:
            return "the head is shared by tensor parallel ranks"
        if self.strategy == "zero3":
            return "ZeRO-3 gathers the head only inside its own forward"
        return None


def _is_set(name: str, default: str = "false") -> bool:
    return os.environ.get(name, default).lower() in ("true", "1", "yes")
