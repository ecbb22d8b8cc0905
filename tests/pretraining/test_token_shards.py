"""Tokens on disk are the documents, whole, and nothing half-written is taken for whole."""

import json

import numpy as np
import pytest

from nec13b.corpus import Document, parse_sources, read_documents
from nec13b.errors import InputError
from nec13b.pretraining import TokenShards, write_token_shards
from nec13b.tokenization import save_tokenizer, train_tokenizer


@pytest.fixture(scope="module")
def documents(small_corpus):
    return list(read_documents(parse_sources(str(small_corpus))))


@pytest.mark.parametrize("shard_tokens", [250_000_000, 1000, 7])
def test_the_streams_are_the_documents_in_order(tmp_path, documents, tokenizer, shard_tokens):
    chosen = documents[:3] if shard_tokens == 7 else documents
    shards = write_token_shards(chosen, tokenizer, tmp_path / "tokens", 0.0, shard_tokens)
    assert shards.streams["held_out"] == {}
    for domain, stream in shards.streams["train"].items():
        texts = [document.text for document in chosen if document.domain == domain]
        ids = stream.window(0, stream.tokens)
        ends = np.flatnonzero(ids == tokenizer.tokenizer.eos_token_id)
        assert len(ends) == stream.documents == len(texts)
        start = 0
        for end, text in zip(ends, texts):
            assert ids[start] == tokenizer.tokenizer.bos_token_id
            assert tokenizer.tokenizer.decode(ids[start + 1 : end]) == text
            start = end + 1
        assert start == stream.tokens
        assert np.array_equal(stream.ends, ends + 1)


def test_borders_are_where_documents_end_inside_a_window(tmp_path, documents, tokenizer):
    stream = write_token_shards(documents, tokenizer, tmp_path / "tokens", 0.0, 1000).streams["train"]["ja"]
    ends = np.flatnonzero(stream.window(0, stream.tokens) == tokenizer.tokenizer.eos_token_id) + 1
    for start, length in ((0, stream.tokens), (0, ends[0]), (ends[0], ends[1] - ends[0]), (ends[0] - 1, 3), (5, 0)):
        inside = ends[(ends > start) & (ends < start + length)]
        assert np.array_equal(stream.borders(int(start), int(length)), inside - start)


def test_windows_cross_file_borders(tmp_path, documents, tokenizer):
    whole = write_token_shards(documents, tokenizer, tmp_path / "whole", 0.0).streams["train"]["ja"]
    parts = write_token_shards(documents, tokenizer, tmp_path / "parts", 0.0, 100).streams["train"]["ja"]
    for start in (0, 99, 100, 101, 950, whole.tokens - 300):
        assert np.array_equal(parts.window(start, 300), whole.window(start, 300))
    for start, length in ((-1, 5), (whole.tokens - 3, 4)):
        with pytest.raises(IndexError):
            parts.window(start, length)


def test_special_tokens_written_in_a_text_do_not_end_the_document(tmp_path, tokenizer):
    text = "a<|end_of_text|>b<|begin_of_text|>c<|im_end|>d"
    shards = write_token_shards([Document(text, "en", "x")], tokenizer, tmp_path / "tokens", 0.0)
    ids = shards.streams["train"]["en"].window(0, shards.streams["train"]["en"].tokens)
    assert (ids < 16).sum() == 2  # the document's own begin and end
    assert tokenizer.tokenizer.decode(ids[1:-1]) == text


def test_held_out_documents_are_apart_and_the_same_every_time(tmp_path, documents, tokenizer):
    first = write_token_shards(documents, tokenizer, tmp_path / "a", 0.3)
    again = write_token_shards(documents, tokenizer, tmp_path / "b", 0.3)
    assert first.index == again.index
    assert first.fingerprint == again.fingerprint
    assert all(first.streams[split] for split in ("train", "held_out"))
    counted = sum(stream["documents"] for stream in first.index["streams"].values())
    assert counted == len(documents)
    assert write_token_shards(documents, tokenizer, tmp_path / "c", 0.2).fingerprint != first.fingerprint
    assert write_token_shards(documents[1:], tokenizer, tmp_path / "c", 0.3).fingerprint != first.fingerprint


def test_an_interrupted_writer_leaves_nothing_that_opens(tmp_path, documents, tokenizer):
    def breaks_off():
        yield from documents[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_token_shards(breaks_off(), tokenizer, tmp_path / "tokens", 0.0)
    with pytest.raises(InputError, match=r"does not exist; recipes/pack_tokens.py makes it"):
        TokenShards.open(tmp_path / "tokens")
    write_token_shards(documents, tokenizer, tmp_path / "tokens", 0.0)  # over what the first left behind
    assert [path.name for path in tmp_path.iterdir()] == ["tokens"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder, shard: shard.write_bytes(shard.read_bytes()[:-2]), "has .* bytes instead of"),
        (lambda folder, shard: shard.unlink(), "is missing"),
        (lambda folder, shard: (folder / "train-ja.ends").unlink(), "train-ja.ends is missing"),
        (lambda folder, shard: _cut(folder / "train-ja.ends", 8), "train-ja.ends has .* bytes instead of"),
        (lambda folder, shard: _overwrite(folder / "train-ja.ends"), "train-ja.ends ends at token 7, but train/ja has"),
        (lambda folder, shard: (folder / "index.json").write_text('{"format":'), "cannot be read"),
        (lambda folder, shard: (folder / "index.json").write_text("[]"), "JSON object"),
        (lambda folder, shard: (folder / "index.json").write_text('{"format": "0"}'), "not token shards"),
        (
            lambda folder, shard: (folder / "index.json").write_text('{"format": "nec13b-token-shards-1"}'),
            "tokens of an older version, which did not note where documents end; make it again",
        ),
    ],
)
def test_damaged_shards_are_refused(tmp_path, documents, tokenizer, damage, said):
    folder = tmp_path / "tokens"
    write_token_shards(documents, tokenizer, folder, 0.0)
    damage(folder, next(folder.glob("train-ja*.bin")))
    with pytest.raises(InputError, match=said):
        TokenShards.open(folder)


def _cut(path, size):
    path.write_bytes(path.read_bytes()[:-size])


def _overwrite(path):
    path.write_bytes(path.read_bytes()[:-8] + (7).to_bytes(8, "little"))


def test_tokens_of_another_tokenizer_are_refused(tmp_path, documents, tokenizer):
    write_token_shards(documents, tokenizer, tmp_path / "tokens", 0.0)
    other = save_tokenizer(train_tokenizer([document.text for document in documents], 700), tmp_path / "other")
    assert TokenShards.open(tmp_path / "tokens", tokenizer)
    with pytest.raises(InputError, match="made with another tokenizer"):
        TokenShards.open(tmp_path / "tokens", other)


def test_an_empty_corpus_is_refused(tmp_path, tokenizer):
    with pytest.raises(InputError, match="no usable document"):
        write_token_shards([], tokenizer, tmp_path / "tokens", 0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_files_is_not_replaced(tmp_path, tokenizer):
    (tmp_path / "photo.jpg").write_text("x")
    with pytest.raises(InputError, match="not token shards"):
        write_token_shards([Document("x", "en", "x")], tokenizer, tmp_path, 0.0)
    assert (tmp_path / "photo.jpg").exists()


def test_a_large_vocabulary_takes_four_bytes(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr(type(tokenizer.tokenizer), "__len__", lambda self: 70_000)
    write_token_shards([Document("x", "en", "x")], tokenizer, tmp_path / "tokens", 0.0)
    assert json.loads((tmp_path / "tokens" / "index.json").read_text())["dtype"] == "uint32"
