"""How a run is spread over machines: what an accelerate config says, as numbers that can be reckoned with.

accelerate's YAML decides how many processes there are and which of them hold copies, shards or parts of the model. This
module reads it with accelerate's own reader, so that a plan and a launch cannot understand one file differently.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.utils import DistributedType

from ..errors import InputError

STRATEGIES = ("single", "ddp", "fsdp", "zero1", "zero2", "zero3")
PRECISIONS = ("no", "bf16", "fp16")
_SIZES = {"replicate": "dp_replicate_size", "shard": "dp_shard_size", "tensor": "tp_size", "context": "cp_size"}


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
        for name in ("machines", "processes", *_SIZES):
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
        config = _read(path)
        processes = num_processes or config.num_processes
        if processes < 1:
            raise InputError(f"{path}: num_processes is missing; pass --num_processes")
        settings: dict[str, Any] = {
            "machines": num_machines or config.num_machines or 1,
            "processes": processes,
            "mixed_precision": str(config.mixed_precision or "no").lower(),
            "use_cpu": bool(config.use_cpu),
        }
        try:
            return cls(**settings, **_strategy(path, config, processes))
        except InputError as error:
            message = str(error)
            raise InputError(message if message.startswith(str(path)) else f"{path}: {message}") from None


def _read(path: str | os.PathLike) -> ClusterConfig:
    try:
        config = load_config_from_file(str(path))
    except FileNotFoundError:
        raise InputError(f"accelerate config {path} does not exist; accelerate_configs/ holds some") from None
    except (OSError, ValueError, TypeError, AttributeError, KeyError, yaml.YAMLError) as error:
        raise InputError(f"{path} is not an accelerate config: {' '.join(str(error).split())}") from None
    if not isinstance(config, ClusterConfig):
        raise InputError(f"{path}: compute_environment must be LOCAL_MACHINE")
    return config


def _strategy(path: str | os.PathLike, config: ClusterConfig, processes: int) -> dict[str, Any]:
    """Strategy and sizes, under the names of Layout's fields."""
    kind = config.distributed_type
    if kind == DistributedType.NO:
        if processes > 1:
            raise InputError(f"distributed_type NO runs one process, not {processes}; name MULTI_GPU or FSDP")
        return {"strategy": "single"}
    if kind == DistributedType.FSDP:
        return _fsdp(config, processes)
    if kind == DistributedType.DEEPSPEED:
        return _deepspeed(path, config, processes)
    if kind.value.startswith("MULTI_"):
        if config.parallelism_config:
            return {"strategy": "fsdp", "sharded_at_load": True, **_parallel_sizes(config)}
        return {"strategy": "ddp" if processes > 1 else "single", "replicate": processes}
    raise InputError(f"distributed_type {kind.value} is not one of NO, MULTI_GPU, FSDP and DEEPSPEED")


def _fsdp(config: ClusterConfig, processes: int) -> dict[str, Any]:
    # accelerate takes keys with and without the prefix.
    fsdp = {key.removeprefix("fsdp_"): value for key, value in config.fsdp_config.items()}
    if str(fsdp.get("version", 1)) != "2":
        raise InputError("fsdp_version must be 2")
    sizes = _parallel_sizes(config) if config.parallelism_config else {"shard": processes}
    if config.parallelism_config and sizes["shard"] * sizes["context"] == 1:
        raise InputError("FSDP has nothing to shard over; parallelism_config_dp_shard_size must be above 1")
    offload = _is_true(fsdp.get("offload_params", False))
    return {
        "strategy": "fsdp",
        **sizes,
        "reshard_after_forward": _is_true(fsdp.get("reshard_after_forward", True)),
        "offload_optimizer": offload,
        "offload_parameters": offload,
        "activation_checkpointing": _is_true(fsdp.get("activation_checkpointing", False)),
    }


def _parallel_sizes(config: ClusterConfig) -> dict[str, int]:
    """Sizes of the mesh of a parallelism_config, under the names of Layout's fields."""
    given = {key.removeprefix("parallelism_config_"): value for key, value in config.parallelism_config.items()}
    if int(given.get("sp_size", 1)) > 1:
        raise InputError("parallelism_config_sp_size (Ulysses) is not planned for; use parallelism_config_cp_size")
    return {name: int(given.get(key, 1)) for name, key in _SIZES.items()}


def _deepspeed(path: str | os.PathLike, config: ClusterConfig, processes: int) -> dict[str, Any]:
    settings = dict(config.deepspeed_config)
    if file := settings.get("deepspeed_config_file"):
        zero = _zero_section(path, file)
        settings = {
            "zero_stage": zero.get("stage", 0),
            "offload_optimizer_device": (zero.get("offload_optimizer") or {}).get("device", "none"),
            "offload_param_device": (zero.get("offload_param") or {}).get("device", "none"),
        }
    stage = int(settings.get("zero_stage", 2))  # accelerate's default
    if not 0 <= stage <= 3:
        raise InputError(f"zero_stage must be 0, 1, 2 or 3, not {stage}")
    if stage == 0:
        return {"strategy": "ddp", "replicate": processes}
    offload_parameters = str(settings.get("offload_param_device", "none")) != "none"
    return {
        "strategy": f"zero{stage}",
        "shard": processes,
        "offload_parameters": offload_parameters,
        "offload_optimizer": offload_parameters or str(settings.get("offload_optimizer_device", "none")) != "none",
    }


def _zero_section(path: str | os.PathLike, file: str) -> dict[str, Any]:
    """`zero_optimization` of DeepSpeed's own file, named relative to where one launches or to the YAML."""
    for candidate in (Path(file), Path(path).parent / file):
        if candidate.is_file():
            break
    else:
        raise InputError(f"deepspeed_config_file {file} does not exist")
    try:
        zero = json.loads(candidate.read_text(encoding="utf-8"))["zero_optimization"]
        return {} if not isinstance(zero, dict) else zero
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{candidate} is not a DeepSpeed config with a zero_optimization section") from None


def _is_true(value: Any) -> bool:
    return str(value).lower() in ("true", "1", "yes")
