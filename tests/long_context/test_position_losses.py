"""Losses by position are those of the model, and their intervals cover what they should."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b import Nec13bConfig, Nec13bForCausalLM
from nec13b.errors import InputError
from nec13b.long_context.position_losses import (
    HeldOutText,
    Losses,
    bucket_means,
    buckets,
    estimate,
    paired,
    token_losses,
)
from nec13b.long_context.position_report import SHORT, draw_by_position, estimates


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = Nec13bConfig(
        vocab_size=512, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2
    )
    return Nec13bForCausalLM(config).eval()


@pytest.fixture
def text(shards_of):
    shards = shards_of({"ja": [90, 40, 10, 100], "en": [64, 30]}, vocab_size=512)
    return HeldOutText.of(shards, window=64, short_length=36, documents=5, split="train")


def test_long_and_short_documents_are_told_apart(text):
    assert (text.long_domains, text.short_domains) == (["en", "ja", "ja"], ["en", "ja"])
    assert text.long[:, 0].tolist() == [1, 1, 141]  # the first token of each, which is its number in the stream
    assert [len(ids) for ids in text.short] == [30, 36]
    assert [part.tolist() for part in text.only("ja")] == [[False, True, True], [False, True]]


def test_a_corpus_without_long_documents_is_refused(shards_of):
    with pytest.raises(InputError, match="no train document of 64 tokens"):
        HeldOutText.of(shards_of({"ja": [63, 10]}), 64, 16, 5, split="train")


def test_token_losses_are_the_models(model):
    ids = torch.randint(512, (3, 50), generator=torch.Generator().manual_seed(1))
    losses = token_losses(model, ids)
    assert losses.shape == (3, 49)
    for row, expected in zip(ids, losses):
        assert model(row[None], labels=row[None]).loss.item() == pytest.approx(expected.mean().item(), abs=1e-5)


@pytest.mark.parametrize("batch_tokens", [1, 100, 10_000])
def test_batching_changes_nothing(model, text, batch_tokens):
    losses = Losses.of(model, text, batch_tokens)
    assert losses.long.shape == (3, 63)
    for ids, row in zip(text.long, losses.long):
        np.testing.assert_allclose(row, token_losses(model, torch.from_numpy(ids)[None])[0], atol=1e-5)
    for ids, (total, tokens) in zip(text.short, losses.short):
        assert tokens == len(ids) - 1
        assert total == pytest.approx(token_losses(model, torch.from_numpy(ids)[None]).sum().item(), abs=1e-3)


@given(window=st.integers(33, 100_000))
def test_buckets_follow_each_other_up_to_the_window(window):
    ranges = buckets(window)
    assert ranges[0][0] == 16
    assert ranges[-1][1] == window
    assert all(before[1] == after[0] for before, after in itertools.pairwise(ranges))
    assert all(high - low <= 2 * low for low, high in ranges)


def test_bucket_means_take_the_loss_at_their_positions():
    losses = np.arange(1, 64, dtype=float)[None]  # the token at position p costs p
    assert bucket_means(losses, [(16, 32), (32, 64)]).tolist() == [[23.5, 47.5]]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_interval_holds_the_mean_and_shrinks_with_documents(seed):
    generator = np.random.default_rng(seed)
    few = estimate(generator.normal(size=(3, 10)))
    many = estimate(generator.normal(size=(3, 1000)))
    assert few.low <= few.mean <= few.high
    assert many.high - many.low < few.high - few.low


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = 0
    for number in range(200):
        interval = estimate(generator.normal(size=(1, 40)), seed=number)
        covered += interval.low <= 0 <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


def test_documents_weigh_by_their_tokens():
    assert estimate(np.array([[1.0, 3.0]]), np.array([3.0, 1.0])).mean == pytest.approx(1.5)


def losses_of(values: list[float]) -> list[Losses]:
    """One checkpoint a value: every token of every document costs it."""
    return [Losses(np.full((4, 63), v), np.stack([np.full(3, v * 9), np.full(3, 9)], 1)) for v in values]


def test_seeds_are_paired_and_one_checkpoint_stands_against_all(tmp_path):
    ranges = buckets(64)
    differences = estimates(losses_of([1.0, 2.0, 3.0]), ranges, losses_of([1.5, 2.5, 3.5]))
    assert sorted(differences) == sorted(["16-32", "32-64", SHORT])
    for one in differences.values():  # each seed against its own: no spread at all
        assert (one.mean, one.low, one.high) == pytest.approx((-0.5, -0.5, -0.5))
    against_one = estimates(losses_of([1.0, 2.0, 3.0]), ranges, losses_of([2.0]))
    assert against_one[SHORT].mean == pytest.approx(0)
    assert against_one[SHORT].low < -0.3
    assert len(paired(losses_of([1.0]), losses_of([1.0, 2.0]))[1]) == 1
    picture = draw_by_position(tmp_path / "f.png", {"a": losses_of([1.0]), "b": losses_of([2.0])}, ranges, 32)
    assert picture.stat().st_size > 10_000
