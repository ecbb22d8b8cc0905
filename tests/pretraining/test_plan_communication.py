"""The bytes of each layout are those of the papers that introduced it, and they cross machines only where they must."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.pretraining.communication_plan import communication_plan
from nec13b.pretraining.gpus import GPUS
from nec13b.pretraining.layout import Layout
from nec13b.pretraining.memory_plan import Workload
from nec13b.pretraining.model_shape import ModelShape

SHAPE, A100 = ModelShape(), GPUS["a100-80gb"]
WEIGHTS = 2 * SHAPE.parameters  # bytes in bf16


def plan(
    strategy="fsdp", *, machines=64, replicate=1, shard=512, tensor=1, context=1, work=None, computing=5.0, **more
):
    processes = replicate * shard * tensor * context
    layout = Layout(machines, processes, strategy, replicate, shard, tensor, context, "bf16", **more)
    return communication_plan(SHAPE, work or Workload(4), layout, A100, computing)


def by_name(found) -> dict:
    return {each.name.split(" (")[0]: each for each in found.collectives}


def test_one_process_talks_to_nobody():
    assert plan("single", machines=1, shard=1).collectives == ()


def test_full_sharding_moves_the_weights_twice_and_their_gradients_in_fp32():
    found = plan()
    assert found.within == pytest.approx((2 + 2) * WEIGHTS * 511 / 512)
    # Each machine needs once what it does not hold: 63 of 64 parts, shared among its 8 cards.
    assert found.across == pytest.approx((2 + 2) * WEIGHTS * 63 / 64 / 8)


def test_zero_3_moves_half_as_much_again_as_zero_1():
    """Rajbhandari et al., 2020, section 7.2: 2 and 3 times the parameters."""
    assert plan("zero3").within == pytest.approx(1.5 * plan("zero1").within)
    # DDP reduces in fp32 here, so twice the bytes of ZeRO-1, which moves as much as an all-reduce.
    ddp = plan("ddp", replicate=512, shard=1)
    assert ddp.within == pytest.approx(2 * plan("zero1").within)


def test_hybrid_sharding_crosses_machines_only_with_gradients_of_shards():
    found = plan(replicate=64, shard=8)
    parts = by_name(found)
    assert parts["gather weights"].across == parts["reduce-scatter gradients"].across == 0
    assert parts["all-reduce gradients of shards"].within == 0
    assert found.across == pytest.approx(2 * (2 * WEIGHTS) / 8 * 63 / 64)
    assert found.across <= plan().across  # the weights cross no network, the gradients of shards do


def test_without_resharding_weights_are_gathered_once():
    gathered = by_name(plan(reshard_after_forward=False))["gather weights"]
    assert 2 * gathered.within == pytest.approx(by_name(plan())["gather weights"].within)


def test_accumulation_gathers_again_and_reduces_once():
    one, four = by_name(plan()), by_name(plan(work=Workload(1, accumulation=4)))
    assert four["gather weights"].within == pytest.approx(4 * one["gather weights"].within)
    assert four["reduce-scatter gradients"].within == pytest.approx(one["reduce-scatter gradients"].within)
    always = by_name(plan(work=Workload(1, accumulation=4, sync_each_batch=True)))
    assert always["reduce-scatter gradients"].within == pytest.approx(4 * one["reduce-scatter gradients"].within)


@pytest.mark.parametrize(("checkpointing", "reduces"), [(False, 4), (True, 6)])
def test_tensor_parallelism_all_reduces_states_in_every_layer(checkpointing, reduces):
    """Shoeybi et al., 2019: two all-reduces forward and two backward; two more where layers are computed again."""
    found = plan(shard=8, replicate=8, tensor=8, work=Workload(4, checkpointing=checkpointing))
    states = by_name(found)["all-reduce states"]
    assert states.within == pytest.approx(40 * reduces * 2 * 7 / 8 * 2 * 4 * 2048 * 5120)
    assert states.across == 0
    assert states.exposed == states.seconds > 0


def test_context_parallelism_sends_keys_and_values_round():
    found = by_name(plan(shard=64, context=8, work=Workload(1, 32_768)))["keys and values"]
    assert found.within == pytest.approx(3 * 40 * 7 / 8 * 2 * 2 * 5120 * 32_768)
    assert found.across == 0


def test_what_hides_and_what_does_not():
    slow, fast = plan(computing=0.1), plan(computing=60.0)
    assert fast.hides
    assert fast.exposed == 0
    assert not slow.hides
    assert slow.exposed == pytest.approx(slow.seconds - 0.1)


@settings(max_examples=50, deadline=None)
@given(
    strategy=st.sampled_from(["fsdp", "zero1", "zero2", "zero3"]),
    shard=st.sampled_from([1, 2, 8, 16, 64, 512]),
    accumulation=st.integers(1, 8),
    computing=st.floats(0.01, 100),
)
def test_sums_and_bounds(strategy, shard, accumulation, computing):
    found = plan(
        strategy,
        machines=max(1, shard // 8),
        shard=shard,
        work=Workload(accumulation=accumulation),
        computing=computing,
    )
    assert found.within == sum(each.within for each in found.collectives)
    assert found.seconds == pytest.approx(sum(each.seconds for each in found.collectives))
    assert 0 <= found.exposed <= found.seconds + 1e-9
    assert (found.across > 0) == (shard > 8)
    longer = plan(
        strategy, machines=max(1, shard // 8), shard=shard, work=Workload(accumulation=accumulation),
        computing=2 * computing,
    )  # fmt: skip
    assert longer.exposed <= found.exposed + 1e-9
