"""The memory plan: what autograd keeps, byte for byte; what ZeRO's paper counts; what a process really takes."""

import importlib.util
import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b import Nec13bConfig, Nec13bForCausalLM
from nec13b.errors import InputError
from nec13b.pretraining.activations import Arithmetic, checkpoint_bytes, layer_bytes
from nec13b.pretraining.layout import Layout
from nec13b.pretraining.memory_plan import MemoryPlan, Workload, memory_plan
from nec13b.pretraining.model_shape import ModelShape

PRECISIONS = {
    "fp32": Arithmetic.of("no", "single"),
    "half": Arithmetic.of("bf16", "fsdp"),
    "autocast": Arithmetic.of("bf16", "single"),
}


def kept_by_autograd(precision: str, backend: str, layers: int, key_value_heads: int, checkpointing=False) -> int:
    """Bytes of all tensors that the decoder's forward pass keeps, weights left out; 3 sequences of 64 tokens."""
    config = Nec13bConfig(
        vocab_size=512, hidden_size=128, intermediate_size=352, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=key_value_heads, max_position_embeddings=64, attn_implementation=backend, use_cache=False,
    )  # fmt: skip
    model = Nec13bForCausalLM(config).train()
    if precision == "half":
        model = model.to(torch.bfloat16)
    if checkpointing:
        model.activation_checkpointing_enable()
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "autocast"),
    ):
        output = model.model(torch.randint(0, 512, (3, 64))).last_hidden_state
    assert output.shape == (3, 64, 128)  # and alive, so that no storage was used twice
    return sum(kept.values())


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("backend", ["sdpa", "eager"])
@pytest.mark.parametrize("key_value_heads", [4, 2])
def test_a_layer_keeps_what_autograd_keeps(precision, backend, key_value_heads):
    shape = ModelShape(512, 128, 352, 2, 4, key_value_heads)
    two, three = (kept_by_autograd(precision, backend, layers, key_value_heads) for layers in (2, 3))
    expected = 3 * 64 * layer_bytes(shape, PRECISIONS[precision], backend, keys=64)
    if precision == "autocast":
        expected += 2 * shape.layer_matrix_parameters  # the 16-bit copies, which the plan counts with the weights
    assert three - two == expected


@pytest.mark.parametrize("precision", ["fp32", "half"])
def test_a_checkpointed_layer_keeps_its_input(precision):
    shape = ModelShape(512, 128, 352, 2, 4)
    two, three = (kept_by_autograd(precision, "sdpa", layers, 4, checkpointing=True) for layers in (2, 3))
    # Without reentrance, checkpointing holds the input in its frame and not among autograd's tensors.
    assert three - two in (0, 3 * 64 * checkpoint_bytes(shape, PRECISIONS[precision]))


def state_bytes_per_parameter(strategy: str, processes: int) -> float:
    shape = ModelShape(50_000, 4096, 11_008, 36, 32)
    layout = Layout(-(-processes // 8), processes, strategy, shard=processes, mixed_precision="bf16")
    parts = memory_plan(shape, Workload(), layout).moments[-1].parts
    return sum(parts[name] for name in ("weights", "gradients", "optimizer state")) / shape.parameters


@pytest.mark.parametrize(("strategy", "gigabytes"), [("zero1", 31.4), ("zero2", 16.6), ("zero3", 1.9)])
def test_zero_holds_what_its_paper_says(strategy, gigabytes):
    """Rajbhandari et al., 2020, figure 1: 7.5 billion parameters over 64 GPUs."""
    assert 7.5 * state_bytes_per_parameter(strategy, 64) == pytest.approx(gigabytes, abs=0.05)


def test_fsdp_holds_sixteen_bytes_a_parameter_over_all_processes():
    assert state_bytes_per_parameter("fsdp", 8) == pytest.approx(2, rel=1e-6)
    assert state_bytes_per_parameter("fsdp", 512) == pytest.approx(16 / 512, rel=1e-6)


def test_accumulation_under_fsdp_holds_whole_gradients_unless_synchronised():
    shape, layout = ModelShape(), Layout(1, 8, "fsdp", shard=8, mixed_precision="bf16")
    gradients = {
        sync: memory_plan(shape, Workload(accumulation=4, sync_each_batch=sync), layout).moments[1].parts["gradients"]
        for sync in (False, True)
    }
    assert gradients[False] == 2 * shape.parameters
    assert gradients[True] == pytest.approx(4 * shape.parameters / 8)


# ---- Whatever the sizes ----

SHAPES = st.builds(
    ModelShape,
    vocab_size=st.sampled_from([4096, 50_176]),
    hidden_size=st.sampled_from([256, 1024, 5120]),
    intermediate_size=st.sampled_from([512, 2816, 13_824]),
    num_hidden_layers=st.integers(1, 48),
    num_attention_heads=st.sampled_from([8, 16]),
    num_key_value_heads=st.just(8),
)
WORK = st.builds(
    Workload,
    sequences=st.integers(1, 16),
    sequence_length=st.sampled_from([128, 2048, 8192]),
    accumulation=st.integers(1, 4),
    attention=st.sampled_from(["eager", "sdpa", "flash_attention_2", "flex_attention"]),
    checkpointing=st.booleans(),
    chunked_loss=st.booleans(),
    sync_each_batch=st.booleans(),
)
STRATEGIES = st.sampled_from(["fsdp", "zero1", "zero2", "zero3"])
PRECISION = st.sampled_from(["no", "bf16"])


def layout_of(strategy: str, shard: int, precision: str, **more) -> Layout:
    processes = shard * more.get("tensor", 1) * more.get("context", 1)
    return Layout(-(-processes // 8), processes, strategy, shard=shard, mixed_precision=precision, **more)


def peak(shape, work, layout, **more) -> int:
    return memory_plan(shape, work, layout, **more).peak.total


@settings(max_examples=100, deadline=None)
@given(SHAPES, WORK, STRATEGIES, PRECISION, st.booleans())
def test_totals_are_sums_and_nothing_is_negative(shape, work, strategy, precision, use_cpu):
    plan = memory_plan(shape, work, layout_of(strategy, 8, precision), use_cpu)
    assert isinstance(plan, MemoryPlan)
    for moment in plan.moments:
        assert moment.total == sum(moment.parts.values())
        assert min(moment.parts.values()) >= 0
        assert set(moment.parts) == set(plan.moments[0].parts)
    assert plan.peak.total == max(moment.total for moment in plan.moments)


@settings(max_examples=100, deadline=None)
@given(SHAPES, WORK, STRATEGIES, PRECISION)
def test_more_work_never_takes_less(shape, work, strategy, precision):
    layout = layout_of(strategy, 8, precision)
    least = peak(shape, work, layout)
    assert peak(shape, replace(work, sequences=work.sequences + 1), layout) > least
    assert peak(shape, replace(work, sequence_length=2 * work.sequence_length), layout) > least
    assert peak(shape, replace(work, accumulation=work.accumulation + 1), layout) >= least
    deeper = replace(shape, num_hidden_layers=shape.num_hidden_layers + 1)
    assert peak(deeper, work, layout) > least


@settings(max_examples=100, deadline=None)
@given(SHAPES, WORK, STRATEGIES, PRECISION, st.sampled_from([2, 4, 8, 64]))
def test_more_shards_never_take_more(shape, work, strategy, precision, shards):
    few, many = (layout_of(strategy, count, precision) for count in (shards, 2 * shards))
    assert peak(shape, work, many) <= peak(shape, work, few)
    if strategy == "fsdp":
        kept = replace(few, reshard_after_forward=False)
        assert peak(shape, work, few) <= peak(shape, work, kept)


@settings(max_examples=100, deadline=None)
@given(SHAPES, WORK, PRECISION, st.booleans())
def test_what_saves_memory_saves_it(shape, work, precision, use_cpu):
    layout = Layout(mixed_precision=precision)
    for whole, saving in ((dict(attention="eager"), dict(attention="sdpa")),
                          (dict(checkpointing=False), dict(checkpointing=True))):  # fmt: skip
        smaller, larger = (peak(shape, replace(work, **each), layout, use_cpu=use_cpu) for each in (saving, whole))
        # One layer has nothing to gain from being computed again.
        assert smaller <= larger or (shape.num_hidden_layers <= 2 and "checkpointing" in saving)
    if precision == "bf16" and not use_cpu and work.sequences * work.sequence_length > shape.vocab_size:
        chunked, whole = (peak(shape, replace(work, chunked_loss=each), layout) for each in (True, False))
        assert chunked <= whole


def test_tensor_and_context_parallelism_divide_what_they_should():
    shape, work = ModelShape(), Workload(4, 8192, attention="flash_attention_2", chunked_loss=False)
    one = layout_of("fsdp", 64, "bf16")
    tensor, context = (layout_of("fsdp", 8, "bf16", **{axis: 8}) for axis in ("tensor", "context"))
    kept = {
        layout: memory_plan(shape, work, layout).moments[1].parts["activations"] for layout in (one, tensor, context)
    }
    assert kept[context] == pytest.approx(kept[one] / 8, rel=0.01)
    assert kept[one] / 8 < kept[tensor] < kept[one] / 1.5  # the norms stay whole
    with pytest.raises(InputError, match="num_attention_heads 40"):
        peak(shape, work, layout_of("fsdp", 8, "bf16", tensor=16))
    with pytest.raises(InputError, match="sequence_length 8,192"):
        peak(shape, work, layout_of("fsdp", 8, "bf16", context=3))


def test_offloading_takes_state_off_the_gpu():
    shape, layout = ModelShape(), layout_of("fsdp", 8, "bf16")
    moved = replace(layout, offload_parameters=True, offload_optimizer=True)
    parts = memory_plan(shape, Workload(), moved).peak.parts
    assert parts["weights"] == parts["optimizer state"] == 0
    assert peak(shape, Workload(), moved) < peak(shape, Workload(), layout)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attention": "magic"}, "attn_implementation 'magic'"),
        ({"sequences": 0}, "sequences must be at least 1"),
        ({"optimizer": "lion"}, "optim 'lion'"),
    ],
)
def test_work_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Workload(**settings)


def test_optimizers_by_their_state():
    names = {"adamw_torch_fused": 8, "adamw_bnb_8bit": 2, "paged_adamw_8bit": 2, "sgd": 0}
    assert {name: Workload(optimizer=name).optimizer_bytes for name in names} == names


# ---- Real processes ----


@pytest.fixture(scope="module")
def benchmark(root):
    """benchmarks/memory_model.py as a module."""
    folder = root / "benchmarks"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location("memory_model", folder / "memory_model.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(folder))


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak comes from /proc")
@pytest.mark.parametrize("case", ["10M", "10M, whole loss, checkpointing, 3 passes"])
def test_a_training_process_takes_what_was_planned(benchmark, case):
    _, planned, _ = benchmark.planned_peak(benchmark.CASES[case])
    measured = benchmark.measured_peak(benchmark.CASES[case], benchmark.EXACT_MALLOC)
    assert planned == pytest.approx(measured, rel=0.1)
