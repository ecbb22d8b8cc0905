"""The stages before training, one after another as separate recipes."""

import json
import re

import numpy as np
from transformers import AutoTokenizer

from nec13b.pretraining import TokenShards
from nec13b.tokenization import load_tokenizer


def test_tokenizer_then_tokens_then_model(run_recipe, small_corpus, small_run, tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_bytes(small_corpus.read_bytes() + b"{\n")
    settings = ["--corpus", corpus, "--held_out_fraction", "0.2"]
    outcome = run_recipe("train_tokenizer", *settings, "--vocab_size", "700", "--output_dir", tmp_path / "tokenizer")
    assert outcome.status == 0, outcome.err
    assert "700 tokens" in outcome.out
    assert "1 × broken JSON" in outcome.out
    assert len(AutoTokenizer.from_pretrained(tmp_path / "tokenizer")) == 700
    record = json.loads((tmp_path / "tokenizer" / "run.json").read_text())
    assert (record["counts"]["tokens"], record["counts"]["rejected"]) == (700, {"broken JSON": 1})

    pack = ["pack_tokens", *settings, "--tokenizer", tmp_path / "tokenizer", "--output_dir", tmp_path / "data"]
    outcome = run_recipe(*pack, "--sequence_length", "2048")
    assert outcome.status == 0, outcome.err
    assert "set aside: 1 x broken JSON" in outcome.out
    tokenizer = load_tokenizer(tmp_path / "tokenizer")
    shards = TokenShards.open(tmp_path / "data" / "tokens", tokenizer)
    record = json.loads((tmp_path / "data" / "run.json").read_text())
    assert record["inputs"] == {"tokenizer": tokenizer.fingerprint, "corpus": shards.index["corpus"]}
    assert record["counts"]["streams"] == shards.counts()
    ja = shards.streams["train"]["ja"]
    lengths, cuts = np.diff(ja.ends, prepend=0), np.arange(2048, ja.tokens, 2048)
    cut = sum(((end - length < cuts) & (cuts < end)).any() for end, length in zip(ja.ends, lengths))
    pattern = r"ja: ([\d,]+) tokens a document; cutting the stream cuts (\d+) documents, best_fit the (\d+) that"
    longer = int((lengths > 2048).sum())
    assert re.search(pattern, outcome.out).groups() == (f"{lengths.mean():,.0f}", str(cut), str(longer))
    assert record["packing"]["domains"]["ja"]["longer"] == longer
    assert not (tmp_path / "data" / "tokenizer").exists()

    tokens = tmp_path / "data" / "tokens"
    flags = [*small_run[4:], "--max_steps", "2", "--output_dir", tmp_path / "run"]
    outcome = run_recipe("pretrain", "--tokens", tokens, "--tokenizer", tmp_path / "tokenizer", *flags)
    assert outcome.status == 0, outcome.err
    outcome = run_recipe("train_tokenizer", *settings, "--vocab_size", "600", "--output_dir", tmp_path / "other")
    outcome = run_recipe("pretrain", "--tokens", tokens, "--tokenizer", tmp_path / "other", *flags)
    assert outcome.status == 2
    assert "made with another tokenizer" in outcome.err


def test_packing_again_uses_what_is_there_and_another_corpus_is_refused(run_recipe, small_corpus, tokenizer, tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_bytes(small_corpus.read_bytes())
    pack = ["pack_tokens", "--corpus", corpus, "--tokenizer", tokenizer.path, "--output_dir", tmp_path / "data"]
    first = run_recipe(*pack)
    again = run_recipe(*pack)
    assert "packing tokens" in first.out
    assert "packing tokens" not in again.out
    corpus.write_bytes(small_corpus.read_bytes() * 2)
    outcome = run_recipe(*pack)
    assert outcome.status == 2
    assert "holds the tokens of another corpus" in outcome.err
    assert run_recipe(*pack, "--overwrite_output_dir").status == 0
