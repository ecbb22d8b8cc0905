"""Every accelerate config at its full number of GPUs, with a process group that only pretends: the groups that ranks
form, the 13B model sharded over them, and the sequences that each rank sees. Nothing is allocated, nothing is sent.
"""

import dataclasses
import os
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
import yaml
from accelerate import ParallelismConfig
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.data_loader import prepare_data_loader
from accelerate.state import PartialState
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils.data import DataLoader, SequentialSampler

from nec13b import Nec13bConfig, Nec13bForCausalLM
from nec13b.pretraining.layout import Layout

PARAMETERS = 13_201_986_560
NODE = 8

# (data ranks; the groups of rank 0: shards, replicas, tensor or context)
FULL = range(512)
LAYOUTS = {
    "one_gpu": (1, [0], [0], [0]),
    "fsdp_1x8": (8, range(8), [0], [0]),
    "fsdp_64x8": (512, FULL, [0], [0]),
    "hsdp_64x8": (512, range(8), range(0, 512, 8), [0]),
    "hsdp_tp_64x8": (256, range(0, 8, 2), range(0, 512, 8), range(2)),
    "fsdp_cp_1x8": (2, [0, 4], [0], range(4)),
    "fsdp_cp_64x8": (128, [0, 4], range(0, 512, 8), range(4)),
    "zero1_64x8": (512, [0], FULL, [0]),
    "zero3_64x8": (512, FULL, [0], [0]),
}
SHARDED_BY_TORCH = ["fsdp_1x8", "fsdp_64x8", "hsdp_64x8", "hsdp_tp_64x8", "fsdp_cp_1x8", "fsdp_cp_64x8"]


@pytest.fixture
def launched(root, monkeypatch):
    """Gives this process the environment of a launch with a config; returns the number of processes and the config."""

    def launch(name):
        path = root / "accelerate_configs" / f"{name}.yaml"
        flags = ["--config_file", str(path), "--main_process_ip", "node1", "--main_process_port", "0", "train.py"]
        arguments, *_ = _validate_launch_command(launch_command_parser().parse_args(flags))
        if arguments.use_deepspeed:
            arguments.deepspeed_fields_from_accelerate_config = ""
            _, environment = prepare_deepspeed_cmd_env(arguments)
        else:
            environment = prepare_multi_gpu_env(arguments)
        for key, value in environment.items():
            if key.startswith(("ACCELERATE_", "FSDP_", "PARALLELISM_")):
                monkeypatch.setenv(key, value)
        return arguments.num_processes, yaml.safe_load(path.read_text())

    return launch


@pytest.fixture
def as_rank(monkeypatch):
    """Makes this process one rank of a process group that only pretends."""

    def become(rank, world_size):
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for key, value in (("RANK", rank), ("WORLD_SIZE", world_size), ("LOCAL_RANK", rank % NODE)):
            monkeypatch.setenv(key, str(value))
        torch.distributed.init_process_group("fake", store=FakeStore(), rank=rank, world_size=world_size)

    PartialState._reset_state()
    yield become
    PartialState._reset_state()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def test_every_gpu_config_is_checked(root):
    names = {path.stem for path in (root / "accelerate_configs").glob("*.yaml")}
    assert names - set(LAYOUTS) == {"cpu", "cpu_2proc", "ddp_1x8"}


def mesh_of(layout: Layout):
    """The mesh that accelerate builds in a run: from its own reading, or from what Trainer is given."""
    return (layout.accelerate_config() or ParallelismConfig()).build_device_mesh("cpu")


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_groups_of_ranks(launched, as_rank, name):
    world_size, _ = launched(name)
    layout = Layout.from_environment(world_size)
    data_ranks, shards, replicas, together = LAYOUTS[name]
    assert layout.data_parallel == data_ranks
    if "zero" in name or name == "one_gpu":  # one dimension, of DeepSpeed's own making or none at all
        assert layout.strategy == {"one_gpu": "single"}.get(name, name.partition("_")[0])
        assert (layout.replicate, layout.shard) == (1, world_size)
        return
    for rank in (0, world_size - 1):
        as_rank(rank, world_size)
        mesh = model_mesh(layout)
        shift = rank - rank % NODE
        for dimension, group in (("shard", shards), ("replicate", replicas), ("together", together)):
            # The groups of the last rank are those of the first, mirrored.
            expected = list(group) if rank == 0 else sorted(world_size - 1 - other for other in group)
            assert mesh[dimension] == expected, dimension
        if name != "fsdp_64x8":  # weights are gathered inside a server
            assert all(shift <= other < shift + NODE for other in mesh["shard"] + mesh["together"])


def model_mesh(layout: Layout) -> dict[str, list[int]]:
    """The ranks that this one forms groups with, in the mesh that the model is sharded over."""
    if (config := layout.distributed_config(True)) is not None:
        _, _, meshes = Nec13bForCausalLM.prepare_distribute_model(config)
        names = {"shard": "fsdp", "replicate": "dp_replicate", "together": "tp"}
        return {kind: meshes.get_mesh(name).mesh.tolist() for kind, name in names.items()}
    own = [torch.distributed.get_rank()]
    if os.environ.get("ACCELERATE_USE_PARALLELISM_CONFIG") != "true":
        return {"shard": list(range(layout.shard)), "replicate": own, "together": own}
    mesh = mesh_of(layout)
    names = {"shard": "dp_shard", "replicate": "dp_replicate", "together": "cp"}
    return {kind: mesh[name].mesh.tolist() if name in mesh.mesh_dim_names else own for kind, name in names.items()}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_plan_and_the_launch_read_the_same_layout(root, launched, name):
    world_size, _ = launched(name)
    planned = Layout.from_accelerate_config(root / "accelerate_configs" / f"{name}.yaml")
    running = Layout.from_environment(world_size, planned.mixed_precision)
    assert dataclasses.replace(planned, machines=1) == dataclasses.replace(running, machines=1)


@pytest.mark.parametrize("name", SHARDED_BY_TORCH)
def test_the_13b_model_is_shared_out_evenly(launched, as_rank, name):
    """By accelerate's and transformers' own code, with the settings of the file."""
    world_size, _ = launched(name)
    layout = Layout.from_environment(world_size)
    parts = layout.shard * layout.context * layout.tensor
    held = {}
    for rank in (1, world_size - 1):
        as_rank(rank, world_size)
        model = sharded_13b(layout)
        assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS
        assert all(isinstance(parameter, DTensor) for parameter in model.parameters())
        held[rank] = sum(parameter.to_local().numel() for parameter in model.parameters())
    # Norms are not split by tensor parallelism: 81 vectors of 5,120.
    assert set(held.values()) == {PARAMETERS // parts + (81 * 5120 * (layout.tensor - 1)) // parts}


def sharded_13b(layout: Layout):
    with torch.device("meta"):
        model = Nec13bForCausalLM(Nec13bConfig())
    if (config := layout.distributed_config(True)) is not None:
        config, _, meshes = Nec13bForCausalLM.prepare_distribute_model(config)
        return Nec13bForCausalLM.maybe_distribute_model(model, config, meshes)
    plugin = FullyShardedDataParallelPlugin(cpu_ram_efficient_loading=False)  # there are no weights to send round
    plugin.set_mixed_precision("bf16")
    has_mesh = os.environ.get("ACCELERATE_USE_PARALLELISM_CONFIG") == "true"
    accelerator = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin),
        torch_device_mesh=mesh_of(layout) if has_mesh else None,
        parallelism_config=ParallelismConfig() if has_mesh else None,
        mixed_precision="bf16",
        is_main_process=False,
        device=torch.device("cpu"),
    )
    return fsdp2_prepare_model(accelerator, model)


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name not in ("one_gpu", "zero3_64x8")])
def test_every_sequence_is_seen_once_and_by_the_ranks_that_share_it(launched, as_rank, monkeypatch, name):
    world_size, config = launched(name)
    monkeypatch.delenv("ACCELERATE_USE_DEEPSPEED", raising=False)  # which need not be installed to deal out batches
    layout = Layout.from_environment(world_size)
    as_rank(0, world_size)
    mesh = mesh_of(layout) if "parallelism_config" in config else None
    steps, per_device = 2, 1
    sequences = range(steps * per_device * layout.data_parallel)
    together = layout.tensor * layout.context
    seen: dict[int, list] = {}
    for rank in range(world_size):
        loader = DataLoader(sequences, batch_size=per_device, sampler=SequentialSampler(sequences))
        dealt = prepare_data_loader(
            loader, num_processes=world_size, process_index=rank, put_on_device=False, torch_device_mesh=mesh
        )
        seen[rank] = list(dealt.batch_sampler)
    for rank, batches in seen.items():
        assert batches == seen[rank - rank % together]
        assert len(batches) == steps
    counts = Counter(i for rank in range(0, world_size, together) for batch in seen[rank] for i in batch)
    assert counts == Counter(sequences)
    # An optimizer step sees consecutive sequences, whatever the layout.
    first = sorted(i for rank in range(0, world_size, together) for i in seen[rank][0])
    assert first == list(sequences[: per_device * layout.data_parallel])
