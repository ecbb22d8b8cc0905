"""What an accelerate config says about processes, shards and precision.

It is read with accelerate's own reader, so that a plan and a launch cannot understand one file differently.
"""

import json
import os
from pathlib import Path
from typing import Any

import yaml
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.utils import DistributedType

from ..errors import InputError, one_line
from .layout import SIZES, Layout


def layout_of_file(path: str | os.PathLike, num_machines: int | None, num_processes: int | None) -> Layout:
    """See `Layout.from_accelerate_config`."""
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
        return Layout(**settings, **_strategy(path, config, processes))
    except InputError as error:
        message = str(error)
        raise InputError(message if message.startswith(str(path)) else f"{path}: {message}") from None


def _read(path: str | os.PathLike) -> ClusterConfig:
    try:
        config = load_config_from_file(str(path))
    except FileNotFoundError:
        raise InputError(f"accelerate config {path} does not exist; accelerate_configs/ holds some") from None
    except (OSError, ValueError, TypeError, AttributeError, KeyError, yaml.YAMLError) as error:
        raise InputError(f"{path} is not an accelerate config: {one_line(error)}") from None
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
    return {name: int(given.get(key, 1)) for name, key in SIZES.items()}


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
