"""Examples hold every token once, predict nothing from a stranger, and can be started anywhere."""

import collections

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from nec13b.errors import InputError
from nec13b.pretraining import HeldOutSequences, PackedSequences, SequenceCollator, packing_plan
from nec13b.pretraining.sequences import SequencesInOrder

LENGTHS = {"ja": [30, 7, 7, 50, 3, 12, 1, 9, 40, 2, 2, 33], "en": [5] * 30}


def packed_sequences(shards, tmp_path, best_fit, sequences=200, proportions=None, **settings):
    plan = packing_plan(shards, 16, tmp_path / "run") if best_fit else None
    return PackedSequences(shards, 16, proportions or {"ja": 0.6, "en": 0.4}, 3, sequences, plan, **settings)


@pytest.mark.parametrize("best_fit", [False, True])
@pytest.mark.parametrize("across", [False, True])
def test_an_epoch_holds_every_token_once(shards_of, tmp_path, best_fit, across):
    train = packed_sequences(shards_of(LENGTHS), tmp_path, best_fit, attend_across_documents=across, domain_ids=True)
    seen = {domain: [] for domain in LENGTHS}
    for example in train:
        seen[train.domains[example["domain"]]].append(example["input_ids"])
    for domain, lengths in LENGTHS.items():
        epoch = train.order.windows[domain]
        assert len(seen[domain]) > epoch  # an epoch is complete
        ids = np.concatenate(seen[domain][:epoch])
        assert np.array_equal(np.sort(ids[ids > 0]), np.arange(1, sum(lengths) + 1))
        assert np.count_nonzero(ids) / len(ids) == pytest.approx(train.filled[domain])


@pytest.mark.parametrize("best_fit", [False, True])
def test_documents_apart(shards_of, tmp_path, best_fit):
    """Positions count within a piece; what is predicted is the token before it plus one, so of the same document."""
    train = packed_sequences(shards_of(LENGTHS), tmp_path, best_fit, attend_across_documents=False, domain_ids=True)
    predicted = collections.Counter()
    for example in train:
        ids, labels, positions = (example[name] for name in ("input_ids", "labels", "position_ids"))
        begins = positions == 0
        assert begins[0]
        assert np.array_equal(np.diff(positions)[~begins[1:]], np.ones(np.sum(~begins[1:])))
        ends = np.cumsum(LENGTHS[train.domains[example["domain"]]])
        for i in np.flatnonzero(begins[1:]) + 1:
            assert ids[i - 1] in ends or ids[i - 1] % 16 == 0 or ids[i] == 0  # the last token of a document or a piece
        real = labels[1:] != -100
        assert np.array_equal(labels[1:][real], ids[1:][real])
        assert np.array_equal(ids[1:][real], ids[:-1][real] + 1)
        assert np.array_equal(real, ~begins[1:] & (ids[1:] != 0))
        for i in np.flatnonzero(real) + 1:
            assert not np.isin(ids[i - 1], ends)
            predicted[example["domain"], ids[i]] += 1
    assert predicted


def test_together_a_cut_sequence_is_one_text_and_a_packed_one_masks_what_follows_a_stranger(shards_of, tmp_path):
    shards = shards_of(LENGTHS)
    cut = packed_sequences(shards, tmp_path, best_fit=False)
    fit = packed_sequences(shards, tmp_path, best_fit=True, domain_ids=True)
    for example in cut:
        assert set(example) == {"input_ids", "labels"}
        real = example["input_ids"] != 0
        assert np.array_equal(example["labels"], np.where(real, example["input_ids"], -100))
    followed = 0
    for example in fit:
        ids, labels = example["input_ids"], example["labels"]
        ends = np.cumsum(LENGTHS[fit.domains[example["domain"]]])
        begins = np.isin(ids - 1, ends) | (np.diff(ids, prepend=0) != 1)
        assert np.array_equal(labels[1:] == -100, (begins | (ids == 0))[1:])
        followed += np.sum(begins[1:] & (ids[1:] != 0))
    assert followed > 100


@given(size=st.integers(0, 50), data=st.data())
def test_a_run_that_goes_on_takes_the_rest(size, data):
    start = data.draw(st.integers(0, size))
    rest = SequencesInOrder(size, lambda: start)
    assert len(rest) == size  # the loader is as long as the whole run, wherever it begins
    assert list(rest) == list(range(start, size))


def test_the_proportions_are_of_tokens(shards_of, tmp_path):
    """Sequences of ja are full, those of en hold one document of 9 in 16 places; the tokens keep the mixture."""
    shards = shards_of({"ja": [64] * 50, "en": [9] * 40})
    train = packed_sequences(shards, tmp_path, True, 2000, {"ja": 0.5, "en": 0.5}, domain_ids=True)
    assert train.filled == {"ja": 1.0, "en": 9 / 16}
    tokens = collections.Counter()
    for example in train:
        tokens[train.domains[example["domain"]]] += int(np.count_nonzero(example["input_ids"]))
    assert abs(tokens["ja"] - tokens["en"]) <= 2 * 16
    cut = packed_sequences(shards, tmp_path, False, 2000, {"ja": 0.5, "en": 0.5})
    assert cut.order.counts(2000) == pytest.approx({"ja": 1000, "en": 1000}, abs=12)  # its last sequence is half empty


def test_domains_are_numbered(shards_of, tmp_path):
    shards = shards_of(LENGTHS)
    train = packed_sequences(shards, tmp_path, True, domain_ids=True)
    assert train.domains == ["ja", "en"]
    for i in (0, 1, 50):
        domain = train[i]["domain"]
        assert domain.dtype == np.int64
        assert train.domains[domain] == train.order[i][0]
    batch = next(iter(DataLoader(train, 4, collate_fn=SequenceCollator("sdpa"))))
    assert batch["domain"].shape == (4,)
    assert batch["input_ids"].shape == (4, 16)


def test_batches_for_the_flash_kernels_say_where_documents_begin(shards_of, tmp_path):
    train = packed_sequences(shards_of(LENGTHS), tmp_path, True, attend_across_documents=False)
    batches = [[train[4 * n + i] for i in range(4)] for n in range(20)]
    for examples in batches:
        batch = SequenceCollator("flash_attention_2")(examples)
        assert batch["input_ids"].shape == (4, 16)
        assert (batch["max_length_q"], batch["max_length_k"]) == (16, 16)
        limits = batch["cu_seq_lens_q"].numpy()
        assert limits.dtype == np.int32
        assert np.array_equal(limits, batch["cu_seq_lens_k"])
        expected = [16 * row + i for row, e in enumerate(examples) for i in np.flatnonzero(e["position_ids"] == 0)]
        assert limits.tolist() == [*expected, 64]
        plain = SequenceCollator("sdpa")(examples)
        assert set(plain) == {"input_ids", "labels", "position_ids"}
    together = packed_sequences(shards_of(LENGTHS, "more"), tmp_path, False)
    assert set(SequenceCollator("flash_attention_2")([together[0]])) == {"input_ids", "labels"}


def test_held_out_windows_are_the_same_tokens_together_and_apart(shards_of):
    stream = shards_of(LENGTHS).streams["train"]["ja"]
    together, apart = HeldOutSequences(stream, 16, 5), HeldOutSequences(stream, 16, 5, attend_across_documents=False)
    assert len(together) == len(apart) == 5
    for one, other in zip(together, apart):
        assert np.array_equal(one["input_ids"], other["input_ids"])
        assert np.array_equal(one["labels"], one["input_ids"])
        assert np.array_equal(other["labels"][1:] == -100, other["position_ids"][1:] == 0)
    assert len(HeldOutSequences(stream, 16, 1000)) == sum(LENGTHS["ja"]) // 16


def test_a_token_outside_the_vocabulary_is_named(shards_of, tmp_path):
    train = packed_sequences(shards_of(LENGTHS, vocab_size=100), tmp_path, False)
    with pytest.raises(InputError, match=r"token \d+ of train/\w+ is 1\d\d, but the vocabulary has 100; a file"):
        list(train)


@pytest.mark.parametrize("best_fit", [False, True])
def test_a_corpus_shorter_than_a_sequence_is_refused(shards_of, tmp_path, best_fit):
    with pytest.raises(InputError, match="only 12 training tokens of en, less than one sequence of 16"):
        packed_sequences(shards_of({"ja": [100], "en": [12]}), tmp_path, best_fit)
