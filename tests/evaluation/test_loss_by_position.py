"""The comparison of checkpoints as a user runs it."""

import json
import runpy
import sys

import pytest
import torch

from nec13b import Nec13bConfig, Nec13bForCausalLM
from nec13b.corpus import parse_sources, read_documents
from nec13b.pretraining import write_token_shards


@pytest.fixture(scope="module")
def tokens(small_corpus, tokenizer, tmp_path_factory):
    """Packed tokens of the small corpus."""
    folder = tmp_path_factory.mktemp("packed") / "tokens"
    write_token_shards(read_documents(parse_sources(str(small_corpus))), tokenizer, folder, 0.3)
    return folder


@pytest.fixture(scope="module")
def checkpoints(tokenizer, tmp_path_factory):
    """Three small models, one of them smaller in vocabulary."""
    folder = tmp_path_factory.mktemp("models")
    for name, vocabulary in (("a", 1024), ("b", 1024), ("c", 1024), ("small", 512)):
        torch.manual_seed(ord(name[0]))
        config = Nec13bConfig(vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
                              num_attention_heads=2, max_position_embeddings=128)  # fmt: skip
        Nec13bForCausalLM(config).save_pretrained(folder / name)
        tokenizer.tokenizer.save_pretrained(folder / name)
    return folder


@pytest.fixture
def compare(root, monkeypatch, capfd, tokens, tmp_path):
    """Runs the script with flags; its status and what it said."""

    def run(*flags):
        script = root / "evaluation" / "loss_by_position.py"
        more = ["--tokens", tokens, "--window", "256", "--old_window", "64", "--output_dir", tmp_path / "out"]
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, [*more, *flags])])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
        said = capfd.readouterr()
        return ended.value.code, said.out + said.err

    return run


def test_checkpoints_are_compared_with_the_first_by_position(compare, checkpoints, tmp_path):
    models = [f"before={checkpoints / 'a'}", f"after={checkpoints / 'b'}", f"after={checkpoints / 'c'}"]
    status, said = compare("--models", *models, "--probes", "--trials", "1")
    assert status == 0, said
    assert "difference from before, with its 95% interval" in said
    result = json.loads((tmp_path / "out" / "loss_by_position.json").read_text())
    columns = ["16-32", "32-64", "64-128", "128-256", "short documents"]
    assert list(result["loss"]["before"]) == columns
    assert list(result["difference"]) == ["after"]
    for name in columns:
        difference = result["loss"]["after"][name]["mean"] - result["loss"]["before"][name]["mean"]
        assert result["difference"]["after"][name]["mean"] == pytest.approx(difference, abs=1e-5)
    assert set(result["loss_by_domain"]) == set(result["documents"])
    assert {score["length"] for score in result["probes"]["before"]["passkey"]} == {248}
    assert result["probes"]["after"]["copy"][0]["first"] > 0
    assert (tmp_path / "out" / "loss_by_position.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "out" / "run.json").read_text())["stage"] == "loss_by_position"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--models", "nothing"], "'nothing' is not label=checkpoint"),
        (["--models", "a=nowhere", "--old_window", "64"], "cannot load a model from nowhere"),
        (["--models", "a={small}"], "has a vocabulary of 512, the tokens one of 1,024"),
        (["--models", "a={a}", "--window", "65536"], "no held-out document of 65,536 tokens"),
        (["--models", "a={a}", "--window", "8"], "window must be at least 64"),
        (["--models", "a={a}", "--tokens", "nowhere"], "nowhere"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(compare, checkpoints, flags, said):
    places = {name: str(checkpoints / name) for name in ("a", "small")}
    status, output = compare(*(flag.format(**places) for flag in flags))
    assert status == 2
    assert said in output
    assert "Traceback" not in output
