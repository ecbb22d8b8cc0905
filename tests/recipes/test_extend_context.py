"""Extending the window as a user does: what comes out, how it goes on after a stop, and what is refused."""

import json
import shutil

import pytest
import torch
from run_losses import assert_same, losses, run
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from nec13b import RopeInterpolation
from nec13b.pretraining.callbacks import read_metrics


@pytest.fixture(scope="session")
def base(uninterrupted):
    """A model of a window of 32 tokens."""
    return uninterrupted / "model"


@pytest.fixture(scope="session")
def extension(base, tokens) -> list[str]:
    """Flags of a run of 8 steps that makes its window four times as long; a step has 2 long sequences and 8 short."""
    return [
        "--model", str(base), "--tokens", str(tokens), "--sequence_length", "128", "--tokens_per_batch", "512",
        "--per_device_train_batch_size", "1", "--max_steps", "8", "--warmup_steps", "2", "--save_steps", "4",
        "--eval_steps", "4", "--eval_sequences", "4", "--learning_rate", "1e-3", "--min_learning_rate", "1e-4",
        "--sample_tokens", "4", "--cpu_threads", "1",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def extended(said_by_recipe, extension, tmp_path_factory):
    """The folder of a whole run, and what it said."""
    output = tmp_path_factory.mktemp("extended") / "run"
    return output, said_by_recipe("extend_context", *extension, "--output_dir", output)


def test_the_model_has_the_new_window_and_everything_that_is_promised(extended, base):
    output, said = extended
    model = AutoModelForCausalLM.from_pretrained(output / "model")
    assert model.config.max_position_embeddings == 128
    rope = RopeInterpolation.of(model.config)
    assert (rope.method, rope.factor, rope.original_max_position_embeddings) == ("by_parts", 4.0, 32)
    assert not torch.equal(model.lm_head.weight, AutoModelForCausalLM.from_pretrained(base).lm_head.weight)
    record = json.loads((output / "run.json").read_text())
    assert record["stage"] == "extend_context"
    kinds = {"ja_long", "en_long", "code_long", "en_short", "code_short"}  # no Japanese document is short
    assert set(record["counts"]["epochs"]) == kinds
    assert set(record["metrics"]["held_out_loss"]) <= kinds
    assert (output / "loss.png").stat().st_size > 10_000
    assert (output / "samples.md").read_text().count("after training") == 3
    assert "window: 32 -> 128 tokens; interpolation own: by_parts, factor 4" in said
    assert "long: 50% of tokens, in sequences of 128" in said
    assert "short: 50% of tokens, in sequences of 32" in said
    assert "ja: none, the others take its place; the corpus has no short text of it" in said
    seen = {name for row in read_metrics(output) for name in row if name.startswith("loss_")}
    assert {"loss_ja_long", "loss_en_short"} <= seen


def test_it_goes_on_from_its_checkpoint_along_the_same_losses(extended, extension, said_by_recipe, tmp_path):
    output = tmp_path / "run"
    shutil.copytree(extended[0], output)
    shutil.rmtree(output / "model")
    shutil.rmtree(output / "checkpoint-8")
    said = said_by_recipe("extend_context", *extension, "--output_dir", output)
    assert f"going on from {output}/checkpoint-4" in said
    assert losses(output) == losses(extended[0])
    weights = [folder / "model" / "model.safetensors" for folder in (output, extended[0])]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sizes"), [("fsdp_1x8", {}), ("fsdp_cp_64x8", {"dp_replicate": 1, "dp_shard": 1, "cp": 2})]
)
def test_on_two_processes_it_follows_one(command, extended, extension, tmp_path, name, sizes):
    """Data parallel, where one process may read long text while the other reads short; and sharing each sequence."""
    run(command(name, 2, extension, "extend_context", **sizes))
    assert_same(losses(tmp_path / "run"), losses(extended[0]))


def test_in_stages_each_window_goes_on_from_the_one_before(run_recipe, extension, tmp_path):
    outcome = run_recipe("extend_context", *extension, "--stages", "64", "--output_dir", tmp_path / "run")
    assert outcome.status == 0, outcome.err
    first, last = (AutoModelForCausalLM.from_pretrained(tmp_path / name / "model") for name in ("run-64", "run"))
    assert (first.config.max_position_embeddings, last.config.max_position_embeddings) == (64, 128)
    factors = [RopeInterpolation.of(model.config).factor for model in (first, last)]
    assert factors == [2.0, 4.0]  # both from the window that the frequencies were first trained on
    records = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("run-64", "run")]
    assert [record["counts"]["steps"] for record in records] == [4, 4]
    assert records[1]["config"]["model"] == str(tmp_path / "run-64" / "model")


def test_from_a_llama_and_from_a_corpus(run_recipe, base, small_corpus, tokenizer, tmp_path):
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=1024, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
                         num_attention_heads=2, max_position_embeddings=32)  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(tmp_path / "llama")
    flags = ["--model", tmp_path / "llama", "--corpus", small_corpus, "--tokenizer", tokenizer.path]
    flags += ["--sequence_length", "64", "--tokens_per_batch", "256", "--per_device_train_batch_size", "2"]
    flags += ["--max_steps", "2", "--interpolation", "yarn", "--held_out_fraction", "0.2"]
    outcome = run_recipe("extend_context", *flags, "--output_dir", tmp_path / "run")
    assert outcome.status == 0, outcome.err
    rope = RopeInterpolation.of(AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model").config)
    assert (rope.ramp, rope.high_rotations) == ("linear", 32.0)
    assert rope.attention_temperature < 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--model", "nowhere"], "no checkpoint at nowhere"),
        (["--sequence_length", "32", "--tokens_per_batch", "256"], "is not beyond the window of"),
        (["--interpolation", "magic"], "interpolation must be one of own, none, linear"),
        (["--interpolation_options", '{"factr": 2}'], "interpolation_options: rope_parameters: unknown key 'factr'"),
        (["--packing", "best_fit"], "packing best_fit is for text of one length"),
        (["--rope_parameters", "{}", "--short_share", "1.5"], "short_share must be between 0 and 1"),
        (["--stages", "128"], "stages must be windows that grow towards sequence_length 128"),
        (["--short_length", "48"], "not a multiple of short_length 48"),
        (["--sequence_length", "65536", "--tokens_per_batch", "131072"], "no document of the corpus has 65,536 tokens"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(run_recipe, extension, tmp_path, flags, said):
    outcome = run_recipe("extend_context", *extension, *flags, "--output_dir", tmp_path / "run")
    assert outcome.status == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_another_interpolation_does_not_go_on_from_the_checkpoint(run_recipe, extension, extended):
    outcome = run_recipe("extend_context", *extension, "--interpolation", "linear", "--output_dir", extended[0])
    assert outcome.status == 2
    assert "rope_parameters" in outcome.err
