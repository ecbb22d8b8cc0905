"""What an accelerate config says about processes is read as accelerate reads it, and mistakes end in one line."""

import json

import pytest
import yaml
from accelerate.parallelism_config import ParallelismConfig
from hypothesis import given
from hypothesis import strategies as st

from nec13b.errors import InputError
from nec13b.pretraining.layout import Layout

PREFIX = "parallelism_config_"
FSDP = {"fsdp_version": 2, "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP"}


@pytest.fixture
def written(tmp_path):
    """Writes an accelerate config of 64 x 8 processes with changes, and returns its path."""

    def write(**changes):
        config = {"compute_environment": "LOCAL_MACHINE", "distributed_type": "FSDP", "num_machines": 64,
                  "num_processes": 512, "mixed_precision": "bf16", "fsdp_config": FSDP} | changes  # fmt: skip
        path = tmp_path / "machine.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in config.items() if value is not None}))
        return path

    return write


@pytest.mark.parametrize(
    ("name", "strategy", "sizes", "precision", "on_cpu"),
    [
        ("cpu", "single", (1, 1, 1, 1), "no", True),
        ("cpu_2proc", "ddp", (1, 2, 2, 1), "no", True),
        ("ddp_1x8", "ddp", (1, 8, 8, 1), "bf16", False),
        ("one_gpu", "single", (1, 1, 1, 1), "bf16", False),
        ("fsdp_1x8", "fsdp", (1, 8, 1, 8), "bf16", False),
        ("fsdp_64x8", "fsdp", (64, 512, 1, 512), "bf16", False),
    ],
)
def test_the_configs_of_the_repository(root, name, strategy, sizes, precision, on_cpu):
    layout = Layout.from_accelerate_config(root / "accelerate_configs" / f"{name}.yaml")
    assert (layout.machines, layout.processes, layout.replicate, layout.shard) == sizes
    assert (layout.strategy, layout.mixed_precision, layout.use_cpu) == (strategy, precision, on_cpu)
    assert layout.data_parallel == layout.processes


def test_every_config_of_the_repository_has_a_layout(root):
    for path in (root / "accelerate_configs").glob("*.yaml"):
        layout = Layout.from_accelerate_config(path)
        assert layout.processes == yaml.safe_load(path.read_text())["num_processes"]


def test_flags_of_the_launcher_win(root):
    layout = Layout.from_accelerate_config(root / "accelerate_configs" / "fsdp_64x8.yaml", 8, 64)
    assert (layout.machines, layout.processes, layout.shard, layout.processes_per_machine) == (8, 64, 64, 8)


def test_a_parallelism_config_is_accelerates_mesh(written):
    sizes = {"dp_replicate_size": 16, "dp_shard_size": 4, "tp_size": 4, "cp_size": 2}
    layout = Layout.from_accelerate_config(
        written(parallelism_config={f"parallelism_config_{key}": size for key, size in sizes.items()})
    )
    mesh = ParallelismConfig(**sizes)
    assert (layout.replicate, layout.shard, layout.tensor, layout.context) == (16, 4, 4, 2)
    assert layout.data_parallel == mesh.data_parallel_size == 64
    assert layout.processes == mesh.total_size
    assert layout.shard_ways == 8


def test_a_model_that_transformers_shards_has_a_mesh_without_fsdp(written):
    sizes = {PREFIX + "dp_replicate_size": 64, PREFIX + "dp_shard_size": 4, PREFIX + "tp_size": 2}
    layout = Layout.from_accelerate_config(
        written(distributed_type="MULTI_GPU", fsdp_config=None, parallelism_config=sizes)
    )
    assert (layout.strategy, layout.replicate, layout.shard, layout.tensor) == ("fsdp", 64, 4, 2)
    assert layout.sharded_at_load
    assert not layout.reduces_once


def test_fsdp_settings(written):
    # Keys count without the prefix too, and YAML's words as well as strings, as for accelerate.
    layout = Layout.from_accelerate_config(
        written(fsdp_config={"version": "2", "fsdp_reshard_after_forward": "False", "offload_params": True,
                             "fsdp_activation_checkpointing": "true"})
    )  # fmt: skip
    assert not layout.reshard_after_forward
    assert layout.offload_parameters
    assert layout.offload_optimizer
    assert layout.activation_checkpointing


@pytest.mark.parametrize(("stage", "strategy"), [(None, "zero2"), (0, "ddp"), (1, "zero1"), (3, "zero3")])
def test_deepspeed_stages(written, stage, strategy):
    settings = {"gradient_clipping": 1.0} | ({} if stage is None else {"zero_stage": stage})
    layout = Layout.from_accelerate_config(
        written(distributed_type="DEEPSPEED", fsdp_config=None, deepspeed_config=settings)
    )
    assert layout.strategy == strategy
    assert layout.data_parallel == 512


def test_deepspeeds_own_file_wins(written, tmp_path):
    (tmp_path / "ds.json").write_text(
        json.dumps({"zero_optimization": {"stage": 1, "offload_optimizer": {"device": "cpu"}}})
    )
    layout = Layout.from_accelerate_config(
        written(distributed_type="DEEPSPEED", fsdp_config=None,
                deepspeed_config={"deepspeed_config_file": "ds.json", "zero_stage": 3})
    )  # fmt: skip
    assert (layout.strategy, layout.offload_optimizer, layout.offload_parameters) == ("zero1", True, False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_processes": 500}, "do not spread evenly over 64 machines"),
        ({"fsdp_config": {"fsdp_version": 1}}, "fsdp_version must be 2"),
        ({"fsdp_config": {}}, "fsdp_version must be 2"),
        ({"parallelism_config": {PREFIX + "dp_shard_size": 8, PREFIX + "tp_size": 8}}, "but there are 512 processes"),
        ({"parallelism_config": {PREFIX + "tp_size": 512}}, "nothing to shard over"),
        ({"parallelism_config": {PREFIX + "sp_size": 8}}, "sp_size"),
        ({"distributed_type": "NO"}, "distributed_type NO runs one process, not 512"),
        ({"distributed_type": "MEGATRON_LM"}, "MEGATRON_LM is not one of"),
        ({"distributed_type": "DEEPSPEED", "deepspeed_config": {"zero_stage": 4}}, "zero_stage must be 0, 1, 2 or 3"),
        ({"distributed_type": "DEEPSPEED", "deepspeed_config": {"deepspeed_config_file": "no.json"}}, "no.json"),
        ({"distributed_type": "SOMETHING"}, "not an accelerate config"),
        ({"distributed_type": None}, "not an accelerate config"),
        ({"mixed_precision": "fp8"}, "mixed_precision 'fp8'"),
        ({"surprise": 1}, "surprise"),
        ({"num_processes": None}, "num_processes is missing"),
    ],
)
def test_mistakes_name_the_file_and_the_value(written, changes, message):
    path = written(**changes)
    with pytest.raises(InputError, match=message) as error:
        Layout.from_accelerate_config(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["- a\n- list\n", "{not: yaml", "", "just words"])
def test_what_is_no_config_is_refused(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"bad\.yaml"):
        Layout.from_accelerate_config(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml does not exist"):
        Layout.from_accelerate_config(tmp_path / "none.yaml")


@given(st.tuples(*[st.integers(1, 6)] * 4))
def test_the_batch_is_divided_among_replicas_and_shards(sizes):
    replicate, shard, tensor, context = sizes
    processes = replicate * shard * tensor * context
    layout = Layout(1, processes, "fsdp", replicate, shard, tensor, context)
    assert layout.data_parallel == replicate * shard
    with pytest.raises(InputError, match="processes"):
        Layout(1, processes + 1, "fsdp", replicate, shard, tensor, context)
