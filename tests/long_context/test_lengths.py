"""Which stretches of text are long or short, and how a step mixes them."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nec13b.errors import InputError
from nec13b.long_context import MixedLengths, held_out_lengths
from nec13b.long_context.lengths import StreamPieces, long_windows, short_documents
from nec13b.pretraining import SequenceCollator

IN_ORDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
lengths_of_documents = st.lists(st.integers(1, 60), min_size=1, max_size=30)
made = iter(range(10**9))


def stream_of(shards_of, lengths):
    return shards_of({"ja": lengths}, f"tokens{next(made)}").streams["train"]["ja"]


@IN_ORDER
@given(lengths=lengths_of_documents, window=st.integers(1, 50))
def test_long_windows_lie_within_documents_and_share_no_token(shards_of, lengths, window):
    stream = stream_of(shards_of, lengths)
    pieces = long_windows(stream, window)
    assert pieces.documents == sum(length // window for length in lengths)
    documents = np.repeat(np.arange(len(lengths)), lengths)
    seen = []
    for i in range(pieces.documents):
        ids = pieces.window(i * window, window)
        assert len({documents[token - 1] for token in ids}) == 1  # token n of the stream is the number n
        assert (np.diff(ids) == 1).all()
        seen += ids.tolist()
    assert len(set(seen)) == len(seen)


@IN_ORDER
@given(lengths=lengths_of_documents, window=st.integers(1, 70), data=st.data())
def test_short_documents_read_as_one_stream(shards_of, lengths, window, data):
    stream = stream_of(shards_of, lengths)
    pieces = short_documents(stream, window)
    ends = np.cumsum(lengths)
    whole = [np.arange(end - length + 1, end + 1) for end, length in zip(ends, lengths) if length < window]
    expected = np.concatenate(whole) if whole else np.zeros(0, np.int64)
    assert pieces.tokens == len(expected)
    start = data.draw(st.integers(0, pieces.tokens))
    length = data.draw(st.integers(0, pieces.tokens - start))
    assert pieces.window(start, length).tolist() == expected[start : start + length].tolist()
    borders = [b - start for b in np.cumsum([len(w) for w in whole]).astype(int) if start < b < start + length]
    assert pieces.borders(start, length).tolist() == borders
    with pytest.raises(IndexError):
        pieces.window(start, pieces.tokens - start + 1)


def mixed(shards, **changes) -> MixedLengths:
    arguments = dict(
        window=64, short_length=16, proportions={"ja": 0.6, "en": 0.4}, short_share=0.5, examples_per_step=8,
        examples_per_pass=2, examples=80, seed=1,
    )  # fmt: skip
    return MixedLengths(shards, **{**arguments, **changes})


@pytest.fixture
def shards(shards_of):
    return shards_of({"ja": [200, 10, 30, 64, 20, 40, 63] * 8, "en": [5, 9, 50, 130] * 8, "code": [7] * 100})


def test_a_step_holds_both_kinds_in_their_shares_and_a_pass_only_one(shards):
    train = mixed(shards)
    assert train.domains == ["ja_long", "en_long", "ja_short", "en_short"]
    assert (train.share("long"), train.share("short")) == (0.5, 0.5)
    shapes = [train[i]["input_ids"].shape for i in range(len(train))]
    assert shapes == ([(1, 64)] * 4 + [(4, 16)] * 4) * 10
    tokens = dict.fromkeys(train.domains, 0)
    for i in range(len(train)):
        example = train[i]
        assert len(example["domain"]) == len(example["input_ids"])
        for number, row in zip(example["domain"], example["input_ids"]):
            tokens[train.domains[number]] += len(row)
    assert tokens["ja_long"] / (tokens["ja_long"] + tokens["en_long"]) == pytest.approx(0.6, abs=0.02)
    assert tokens["ja_short"] / (tokens["ja_short"] + tokens["en_short"]) == pytest.approx(0.6, abs=0.02)


def test_every_long_stretch_and_every_short_token_comes_once_an_epoch(shards):
    train = mixed(shards, proportions={"ja": 1.0}, examples_per_step=4, examples_per_pass=1, examples=400)
    for kind in ("long", "short"):
        sequences = len(train.kinds[kind].packings["ja"])
        seen = [train.kinds[kind].order[i][1] for i in range(sequences)]
        assert sorted(seen) == list(range(sequences))
    epochs = train.epochs()
    assert epochs["ja_long"] == pytest.approx(200 / len(train.kinds["long"].packings["ja"]))
    assert epochs["ja_short"] == pytest.approx(800 / len(train.kinds["short"].packings["ja"]))


def test_the_order_does_not_depend_on_how_a_step_is_cut_into_passes(shards):
    ones, twos = mixed(shards, examples_per_pass=1), mixed(shards, examples_per_pass=4)
    assert all(np.array_equal(ones[i]["input_ids"], twos[i]["input_ids"]) for i in range(len(ones)))


def test_a_domain_without_a_kind_of_text_is_left_out_of_that_kind(shards):
    train = mixed(shards, proportions={"ja": 0.5, "code": 0.5})
    assert train.domains == ["ja_long", "ja_short", "code_short"]
    assert train.kinds["long"].proportions == {"ja": 1.0}


def test_batches_have_one_row_a_sequence(shards):
    train = mixed(shards)
    batch = SequenceCollator("sdpa")([train[4], train[5]])
    assert {name: tuple(tensor.shape) for name, tensor in batch.items()} == {
        "input_ids": (8, 16), "labels": (8, 16), "domain": (8,),
    }  # fmt: skip
    assert SequenceCollator("sdpa")([train[0], train[1]])["input_ids"].shape == (2, 64)


def test_documents_can_be_kept_apart(shards):
    train = mixed(shards, attend_across_documents=False)
    long, short = train[0], train[4]
    assert long["position_ids"].tolist() == [list(range(64))]
    for ids, labels, positions in zip(short["input_ids"], short["labels"], short["position_ids"]):
        begins = np.flatnonzero(positions == 0)[1:]
        assert (labels[begins] == -100).all()
        inside = (positions[1:] != 0) & (ids[1:] != 0)
        assert (np.diff(ids)[inside] == 1).all()
    batch = SequenceCollator("flash_attention_2")([train[4], train[5]])
    assert batch["cu_seq_lens_q"][-1] == 128
    assert batch["cu_seq_lens_q"].dtype == torch.int32


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"window": 256}, "no document of the corpus has 256 tokens"),
        ({"short_length": 24}, "not a multiple of short_length 24"),
        ({"short_share": 0.1}, "leaves one kind of text out"),
        ({"proportions": {"code": 1.0}, "short_share": 0.0}, "no document of the corpus has 64 tokens"),
    ],
)
def test_what_cannot_be_mixed_is_refused(shards, changes, said):
    with pytest.raises(InputError, match=said):
        mixed(shards, **changes)


def test_a_corpus_of_long_documents_has_no_short_text(shards_of):
    shards = shards_of({"ja": [64, 128]})
    with pytest.raises(InputError, match="set short_share to 0"):
        mixed(shards, proportions={"ja": 1.0})
    train = mixed(shards, proportions={"ja": 1.0}, short_share=0.0)
    assert train.domains == ["ja_long"]
    assert [len(train[i]["input_ids"]) for i in range(8)] == [1] * 8


def test_held_out_text_of_both_kinds(shards):
    shards.streams["held_out"].update(shards.streams["train"])
    found = held_out_lengths(shards, 64, 16, 2)
    assert sorted(found) == ["code_short", "en_long", "en_short", "ja_long", "ja_short"]
    assert (len(found["ja_long"]), len(found["ja_short"])) == (2, 8)
    assert found["en_long"][0]["input_ids"].shape == (64,)
    assert isinstance(found["en_long"].stream, StreamPieces)
