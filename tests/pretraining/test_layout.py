"""Which ranks share a sequence, and which a batch is counted by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.errors import InputError
from nec13b.pretraining import PretrainConfig
from nec13b.pretraining.config import accumulation_steps
from nec13b.pretraining.kernels import choose_attention
from nec13b.pretraining.layout import Layout

SIZES = ("DP_REPLICATE_SIZE", "DP_SHARD_SIZE", "CP_SIZE", "TP_SIZE")


@pytest.fixture
def launched(monkeypatch):
    """Sets the environment as `accelerate launch` does for a parallelism_config."""

    def launch(*sizes):
        monkeypatch.setenv("ACCELERATE_USE_PARALLELISM_CONFIG", "true")
        for name, size in zip(SIZES, sizes):
            monkeypatch.setenv(f"PARALLELISM_CONFIG_{name}", str(size))

    return launch


def test_without_a_layout_every_process_sees_its_own_sequences():
    layout = Layout.from_environment(16)
    assert (layout.data_parallel, layout.tensor, layout.context) == (16, 1, 1)
    assert layout.accelerate_config() is layout.distributed_config(True) is None


@pytest.mark.parametrize(
    ("sizes", "data_ranks"), [((64, 8, 1, 1), 512), ((64, 4, 1, 2), 256), ((1, 2, 4, 1), 2), ((1, 1, 1, 8), 1)]
)
def test_tensor_and_context_ranks_do_not_count(launched, sizes, data_ranks):
    launched(*sizes)
    replicas, shards, context, tensor = sizes
    layout = Layout.from_environment(replicas * shards * context * tensor)
    assert (layout.replicate, layout.shard, layout.context, layout.tensor) == sizes
    assert layout.data_parallel == data_ranks


def test_tensor_parallel_models_are_sharded_by_transformers(launched):
    launched(64, 4, 1, 2)
    layout = Layout.from_environment(512)
    config = layout.distributed_config(mixed_precision=True)
    assert (config.dp_replicate_size, config.fsdp_size, config.tp_size) == (64, 4, 2)
    assert config.fsdp_mixed_precision
    assert layout.accelerate_config().total_size == 512
    assert layout.accelerate_config().dp_shard_size == config.dp_size


@pytest.mark.parametrize(
    ("sizes", "processes", "said"),
    [
        ((64, 8, 1, 1), 64, "is for 512 processes .dp_replicate 64 x dp_shard 8 x cp 1 x tp 1., launched were 64"),
        ((1, 1, 2, 2), 4, "cannot be combined"),
    ],
)
def test_layouts_that_cannot_be(launched, sizes, processes, said):
    launched(*sizes)
    with pytest.raises(InputError, match=said):
        Layout.from_environment(processes)


@pytest.mark.parametrize(
    ("layout", "shape", "said"),
    [
        (Layout(processes=4, tensor=4), (6, None, 64), "6 attention heads cannot be shared by 4"),
        (Layout(processes=4, tensor=4), (8, 2, 64), "2 key-value heads cannot be shared by 4"),
        (Layout(processes=4, context=4), (8, None, 60), "sequence_length 60 is not a multiple of 2 x 4"),
    ],
)
def test_shapes_that_cannot_be_divided(layout, shape, said):
    with pytest.raises(InputError, match=said):
        layout.check_shape(*shape)


def test_the_recipe_refuses_a_layout_of_another_size(launched, tmp_path):
    launched(1, 1, 1, 2)
    with pytest.raises(InputError, match="launched were 1; for another number of servers give"):
        PretrainConfig(output_dir=str(tmp_path), max_steps=1)


@given(st.integers(1, 64), st.integers(1, 8), st.sampled_from([1, 2, 4, 8]), st.integers(1, 4), st.integers(1, 8))
def test_the_batch_is_the_same_under_any_layout(replicas, shards, tensor, per_device, steps):
    layout = Layout(processes=replicas * shards * tensor, replicate=replicas, shard=shards, tensor=tensor)
    tokens = 128 * per_device * layout.data_parallel * steps
    assert accumulation_steps(tokens, 128, per_device, layout.data_parallel) == steps
    with pytest.raises(InputError, match="is not a multiple"):
        accumulation_steps(tokens + 1, 128, per_device, layout.data_parallel)


def test_context_parallelism_has_one_attention_backend(tmp_path):
    config = PretrainConfig(output_dir=str(tmp_path), max_steps=1)
    config.layout = Layout(processes=2, context=2)
    assert choose_attention(config) == "sdpa"
    config.attn_implementation = "eager"
    with pytest.raises(InputError, match="attn_implementation eager cannot share a sequence"):
        choose_attention(config)
