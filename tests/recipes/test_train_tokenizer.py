"""The tokenizer recipe: what it leaves, its report, and what it says of bad input."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from nec13b.errors import InputError
from nec13b.tokenization.peers import load_peers

RUNS = {}  # the recipe runs once for all tests of this file


@pytest.fixture
def trained(run_recipe, small_corpus, tokenizer, tmp_path_factory):
    if not RUNS:
        output = tmp_path_factory.mktemp("trained") / "tokenizer"
        flags = ["train_tokenizer", "--corpus", small_corpus, "--held_out_fraction", "0.2", "--vocab_size", "900",
                 "--min_documents", "2", "--report", "--peers", f"other={tokenizer.path}"]  # fmt: skip
        flags += ["--output_dir", output]
        RUNS["trained"] = output, flags, run_recipe(*flags)
    return RUNS["trained"]


def test_what_the_recipe_leaves(trained):
    output, _, outcome = trained
    assert outcome.status == 0, outcome.err
    assert "900 tokens" in outcome.out
    assert "removed as unsuitable: " in outcome.out
    loaded = AutoTokenizer.from_pretrained(output)
    assert len(loaded) == 900
    removed = [json.loads(line) for line in (output / "removed_tokens.jsonl").read_text(encoding="utf-8").splitlines()]
    record = json.loads((output / "run.json").read_text())
    assert sum(record["counts"]["removed"].values()) == len(removed) > 0
    assert not {row["token"] for row in removed} & set(loaded.get_vocab())
    assert set(record["metrics"]["characters_per_token"]) == {"ja", "en", "code"}
    assert not (output.parent / ".tokenizer.counting").exists()


def test_the_report_measures_held_out_text_beside_peers(trained):
    output, _, _ = trained
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    assert report["held_out"]
    own, other = report["tokenizers"]
    assert (own["name"], own["vocab_size"], other["name"], other["vocab_size"]) == ("nec13b", 900, "other", 1024)
    assert own["unsuitable"] == {}
    loaded = AutoTokenizer.from_pretrained(output)
    assert sum(row["tokens"] for row in report["scripts"]) == 900 - 272
    assert report["domains"]["ja"]["bytes"] > own["tokens"]["domains"]["ja"] > 0
    assert 1 <= own["fertility"]["en"] < 5
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    for row in report["scripts"]:
        for token in row["longest"]:
            assert token in loaded.get_vocab()


def test_without_held_out_documents_training_text_is_measured_and_the_page_says_so(run_recipe, small_corpus, tmp_path):
    flags = ["--corpus", small_corpus, "--held_out_fraction", "0", "--vocab_size", "600", "--min_documents", "1",
             "--proportions", "ja=1", "--output_dir", tmp_path / "out", "--report"]  # fmt: skip
    outcome = run_recipe("train_tokenizer", *flags)
    assert outcome.status == 0, outcome.err
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert not report["held_out"]
    assert set(report["domains"]) == {"code", "en", "ja"}  # also what it was not trained on
    assert set(report["training"]["characters_per_token"]) == {"ja"}
    assert "training documents, since none are held out" in (tmp_path / "out" / "report.html").read_text(
        encoding="utf-8"
    )


def test_the_same_command_does_nothing_again_and_another_is_refused(trained, run_recipe):
    output, flags, _ = trained
    before = (output / "tokenizer.json").stat().st_mtime_ns
    (output / "report.html").unlink()
    outcome = run_recipe(*flags)
    assert outcome.status == 0, outcome.err
    assert "merging" not in outcome.out
    assert (output / "report.html").is_file()
    assert (output / "tokenizer.json").stat().st_mtime_ns == before
    outcome = run_recipe(*flags, "--vocab_size", "800")
    assert outcome.status == 2
    assert "made of another corpus or with other settings" in outcome.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--vocab_size", "40000"], "the corpus is too small for the vocabulary"),
        (["--vocab_size", "200"], "vocab_size 200 is too small: 272 are"),
        (["--proportions", "jp=0.5,en=0.5"], "proportions names 'jp', but the corpus holds only code, en, ja"),
        (["--proportions", "ja=0,en=1"], "proportions: the proportion of ja must be above 0"),
        (["--proportions", "ja"], "proportions must look like"),
        (["--keep_classes", "numbers"], "keep_classes: 'numbers' is no class"),
        (["--character_coverage", "1.5"], "character_coverage must lie above 0"),
        (["--min_documents", "0"], "min_documents must be at least 1"),
        (["--report", "--peers", "nowhere/to-be-found"], "peers: cannot load a tokenizer from nowhere/to-be-found"),
    ],
)
def test_bad_input_is_one_line(run_recipe, small_corpus, tmp_path, flags, message):
    outcome = run_recipe("train_tokenizer", "--corpus", small_corpus, "--output_dir", tmp_path / "out", *flags)
    assert outcome.status == 2
    assert message in outcome.err
    assert not (tmp_path / "out" / "tokenizer.json").exists()


def test_peers_of_several_kinds(tokenizer, tmp_path):
    ranks = "".join(f"{line} {i}\n" for i, line in enumerate(["YQ==", "Yg==", "IA==", "YWI="]))
    (tmp_path / "small.tiktoken").write_text(ranks)
    pytest.importorskip("tiktoken", reason="tiktoken files need the package tiktoken (extra bench)")
    peers = load_peers([f"{tokenizer.path}/tokenizer.json", str(tmp_path / "small.tiktoken")])
    assert [peer.name for peer in peers] == ["tokenizer", "small"]
    assert peers[1].lengths(["ab ab a"]) == [5]
    assert sorted(peers[1].token_texts()) == [" ", "a", "ab", "b"]
    with pytest.raises(InputError, match="two are called 'x'"):
        load_peers([f"x={tokenizer.path}", f"x={tokenizer.path}"])
    (tmp_path / "wrong.model").write_bytes(b"\x00\x01")
    with pytest.raises(InputError, match=r"neither a tokenizer\.json nor a tiktoken file"):
        load_peers([str(tmp_path / "wrong.model")])


def test_cached_are_the_tokenizers_of_the_hubs_cache_each_once(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    assert load_peers(["cached"]) == []
    for name, text in (("a--one", None), ("b--same", None), ("c--broken", "{}")):
        snapshot = tmp_path / "cache" / f"models--{name}" / "snapshots" / "0123"
        snapshot.mkdir(parents=True)
        (tmp_path / "cache" / f"models--{name}" / "refs").mkdir()
        (tmp_path / "cache" / f"models--{name}" / "refs" / "main").write_text("0123")
        content = text or (Path(tokenizer.path) / "tokenizer.json").read_text(encoding="utf-8")
        (snapshot / "tokenizer.json").write_text(content, encoding="utf-8")
    peers = load_peers([f"mine={tokenizer.path}", "cached"])
    assert sorted(peer.name for peer in peers) == ["a/one", "mine"]
