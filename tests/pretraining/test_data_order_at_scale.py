"""The simulation of benchmarks/data_order_at_scale.py, small: sparse shards, 16 ranks, an epoch of both packings."""

import sys

import pytest

from nec13b.pretraining import packing_plan


@pytest.fixture(scope="module")
def simulation(root):
    sys.path.insert(0, str(root / "benchmarks"))
    import data_order_at_scale

    yield data_order_at_scale
    sys.path.remove(str(root / "benchmarks"))


@pytest.mark.parametrize("packing", ["concatenated", "best_fit"])
def test_every_token_once_exact_proportions_and_an_even_deal(simulation, tmp_path, packing):
    tokens = {"ja": 900_000, "en": 700_000, "code": 400_001}
    shards = simulation.write_sparse_shards(tmp_path / "tokens", tokens, shard_tokens=300_000)
    checked = simulation.check_order(shards, packing, ranks=16, tokens_per_batch=128 * 256, length=256)
    assert checked["tokens in an epoch, each once"] == "2,000,001"


def test_the_simulation_notices_a_token_that_is_lost_or_doubled(simulation, tmp_path):
    """A check that cannot fail would be worth nothing."""
    shards = simulation.write_sparse_shards(tmp_path / "tokens", {"ja": 90_000, "en": 70_000, "code": 40_000})
    folder = packing_plan(shards, 256, tmp_path / "run").folder
    for name, place in (("ja.starts", 40), ("en.lengths", 8)):
        content = bytearray((folder / name).read_bytes())
        content[place] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(AssertionError):
            simulation.check_order(shards, "best_fit", ranks=4, tokens_per_batch=16 * 256, length=256)
        content[place] ^= 1
        (folder / name).write_bytes(content)
    simulation.check_order(shards, "best_fit", ranks=4, tokens_per_batch=16 * 256, length=256)


def test_a_rank_is_never_without_a_batch(simulation, tmp_path):
    """Where the ranks cannot share the batch evenly the simulation says so; pretrain.py refuses such a batch."""
    shards = simulation.write_sparse_shards(tmp_path / "tokens", {"ja": 90_000, "en": 70_000, "code": 40_000})
    with pytest.raises(AssertionError):
        simulation.check_order(shards, "concatenated", ranks=6, tokens_per_batch=16 * 256, length=256)
