"""The order of training data is exact, complete and a pure function of seed and index."""

import collections

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.corpus import parse_sources, read_documents
from nec13b.corpus.mixture import resolve_proportions
from nec13b.errors import InputError
from nec13b.pretraining import DataOrder, PackedSequences, PermutedRange, write_token_shards

WEIGHTS = st.dictionaries(st.sampled_from(["ja", "en", "code", "web"]), st.integers(1, 1_000_000), min_size=1)


@given(size=st.integers(1, 3000), seed=st.integers())
@settings(max_examples=40, deadline=None)
def test_a_permuted_range_is_a_permutation(size, seed):
    permuted = PermutedRange(size, (seed, "ja", 0))
    assert sorted(permuted[i] for i in range(size)) == list(range(size))


def test_a_permuted_range_looks_random_and_depends_on_its_key():
    size = 20_000
    order = np.array([PermutedRange(size, (1, "ja", 0))[i] for i in range(size)])
    other = np.array([PermutedRange(size, (1, "ja", 1))[i] for i in range(size)])
    assert abs(np.corrcoef(order, np.arange(size))[0, 1]) < 0.03
    assert abs(np.corrcoef(order, other)[0, 1]) < 0.03
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.03
    with pytest.raises(IndexError):
        PermutedRange(5, ())[5]


def test_a_permuted_range_needs_no_table():
    huge = PermutedRange(10**12, (0,))
    assert len({huge[i] for i in range(1000)}) == 1000
    assert all(0 <= huge[i] < 10**12 for i in (0, 10**12 - 1))


@given(size=st.integers(1, 10**13), seed=st.integers(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_many_elements_at_once_are_the_same(size, seed, data):
    permuted = PermutedRange(size, (seed, "ja", 0))
    indices = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20))
    assert permuted.take(np.array(indices)).tolist() == [permuted[i] for i in indices]


@given(weights=WEIGHTS, n=st.integers(0, 10**9))
@settings(deadline=None)
def test_every_prefix_has_the_proportions_to_within_two_sequences(weights, n):
    counts = DataOrder(dict.fromkeys(weights, 10), weights, 0).counts(n)
    assert sum(counts.values()) == n
    for domain, weight in weights.items():
        assert abs(counts[domain] - n * weight / sum(weights.values())) <= len(weights) / 2


@given(weights=WEIGHTS, batch=st.integers(1, 5000), step=st.integers(0, 10**6))
@settings(deadline=None)
def test_every_batch_has_the_proportions(weights, batch, step):
    order = DataOrder(dict.fromkeys(weights, 10), weights, 0)
    before, after = order.counts(step * batch), order.counts((step + 1) * batch)
    for domain, weight in weights.items():
        assert abs(after[domain] - before[domain] - batch * weight / sum(weights.values())) <= len(weights)


@pytest.mark.parametrize("batch", [16, 100, 2048])
def test_every_batch_of_the_default_mixture_is_within_a_sequence_or_so(batch):
    """Its three domains stay within 0.6 sequences of their shares all along, so a batch is off by 1.2 at most."""
    order = DataOrder(dict.fromkeys(["ja", "en", "code"], 10), {"ja": 45, "en": 35, "code": 20}, 0)
    shares = np.array([0.45, 0.35, 0.2])
    edges = np.array([list(order.counts(step * batch).values()) for step in range(200)])
    assert np.abs(edges - np.arange(200)[:, None] * batch * shares).max() < 0.61
    assert np.abs(np.diff(edges, axis=0) - batch * shares).max() < 1.21


@given(weights=WEIGHTS, start=st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_counts_grow_by_one_domain_at_a_time(weights, start):
    """So jumping to any index gives what walking there would have given."""
    order = DataOrder(dict.fromkeys(weights, 10), weights, 0)
    walked = order.counts(start)
    for n in range(start, start + 40):
        domain, _ = order[n]
        walked[domain] += 1
        assert walked == order.counts(n + 1)


def test_each_epoch_visits_each_window_once_in_a_new_order():
    order = DataOrder({"ja": 50, "en": 7}, {"ja": 3, "en": 1}, seed=5)
    seen = collections.defaultdict(list)
    for i in range(400):
        domain, window = order[i]
        seen[domain].append(window)
    assert sorted(seen["ja"][:50]) == list(range(50))
    assert sorted(seen["ja"][50:100]) == list(range(50))
    assert seen["ja"][:50] != seen["ja"][50:100]
    assert sorted(seen["en"][7:14]) == list(range(7))
    assert order.epochs(400) == {"ja": 6.0, "en": pytest.approx(100 / 7)}


def test_another_seed_is_another_order():
    one, other = (DataOrder({"ja": 1000}, {"ja": 1}, seed) for seed in (0, 1))
    assert [one[i] for i in range(50)] != [other[i] for i in range(50)]


def test_sequences_are_windows_of_the_streams(tmp_path, small_corpus, tokenizer):
    documents = list(read_documents(parse_sources(str(small_corpus))))
    shards = write_token_shards(documents, tokenizer, tmp_path / "tokens", 0.0)
    train = PackedSequences(shards, 32, {"ja": 0.5, "en": 0.3, "code": 0.2}, seed=3, sequences=100)
    assert len(train) == 100
    for i in (0, 1, 57, 99):
        domain, window = train.order[i]
        expected = shards.streams["train"][domain].window(window * 32, 32)
        assert np.array_equal(train[i]["input_ids"], expected)
        assert np.array_equal(train[i]["labels"], expected)
    with pytest.raises(InputError, match="less than one sequence of 1,000,000"):
        PackedSequences(shards, 1_000_000, {"ja": 1.0}, seed=0, sequences=1)


def test_proportions_are_of_the_domains_present():
    assert resolve_proportions(None, ["ja", "en", "code"]) == pytest.approx({"code": 0.2, "en": 0.35, "ja": 0.45})
    assert resolve_proportions(None, ["en", "ja"]) == pytest.approx({"en": 35 / 80, "ja": 45 / 80})
    assert resolve_proportions({"ja": 3, "en": 1}, ["en", "ja", "code"]) == {"en": 0.25, "ja": 0.75}
    with pytest.raises(InputError, match="mixture names 'code', but the corpus holds only en, ja"):
        resolve_proportions({"code": 1.0}, ["en", "ja"])
    for bad in (0, -1, "half", True):
        with pytest.raises(InputError, match="must be above 0"):
            resolve_proportions({"ja": bad}, ["ja"])
