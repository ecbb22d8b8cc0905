"""Parameters and operations are those of the real model; the time model meets published runs."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from nec13b import Nec13bConfig, Nec13bForCausalLM
from nec13b.errors import InputError
from nec13b.pretraining.compute_plan import (
    PUBLISHED_RUNS,
    compute_plan,
    forward_flops_per_token,
    model_flops_utilisation,
    palm_flops_per_token,
    training_flops_per_token,
)
from nec13b.pretraining.gpus import GPUS, measured_flops, named_gpu
from nec13b.pretraining.model_shape import ModelShape


def model_of(shape: ModelShape, **settings) -> Nec13bForCausalLM:
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
             "num_key_value_heads")  # fmt: skip
    config = Nec13bConfig(**{name: getattr(shape, name) for name in names}, tie_word_embeddings=shape.tied, **settings)
    return Nec13bForCausalLM(config)


@settings(max_examples=15, deadline=None)
@given(
    vocab=st.integers(8, 300), heads=st.sampled_from([(1, 1), (2, 2), (4, 2), (6, 1)]),
    head_dim=st.sampled_from([8, 16]), feed_forward=st.integers(1, 200), layers=st.integers(1, 4), tied=st.booleans(),
)  # fmt: skip
def test_parameters_are_those_of_the_model(vocab, heads, head_dim, feed_forward, layers, tied):
    shape = ModelShape(vocab, heads[0] * head_dim, feed_forward, layers, *heads, tied=tied)
    with torch.device("meta"):
        model = model_of(shape)
    assert shape.parameters == model.num_parameters()
    assert shape.layer_parameters == sum(p.numel() for p in model.model.layers[0].parameters())
    assert shape.non_embedding_parameters + shape.embedding_parameters + shape.head_parameters == shape.parameters


def test_the_papers_model_has_13_billion_parameters():
    assert ModelShape().parameters == 13_201_986_560
    with torch.device("meta"):
        assert model_of(ModelShape()).num_parameters() == 13_201_986_560


def test_a_shape_is_read_from_any_config():
    assert ModelShape.of(Nec13bConfig()) == ModelShape(head_dim=128)
    partly = SimpleNamespace(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4
    )
    assert ModelShape.of(partly).num_key_value_heads == 4


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": 100, "num_attention_heads": 7},
        {"num_attention_heads": 40, "num_key_value_heads": 3},
        {"num_hidden_layers": 0},
        {"vocab_size": -1},
    ],
)
def test_impossible_shapes_are_refused(sizes):
    with pytest.raises(InputError):
        ModelShape(**sizes)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_operations_are_those_that_torch_counts(checkpointing):
    """Eager attention multiplies all pairs of tokens; causal work on 2 T - 1 tokens has as many pairs a token."""
    shape, tokens = ModelShape(256, 64, 160, 3, 4, 2), 32
    model = model_of(shape, attn_implementation="eager", use_cache=False).train()
    if checkpointing:
        model.activation_checkpointing_enable()
    ids = torch.randint(0, 256, (2, tokens))
    with FlopCounterMode(display=False) as counter:
        model(ids, labels=ids).loss.backward()
    expected = training_flops_per_token(shape, 2 * tokens - 1, recomputed=float(checkpointing))
    # Checkpointing may stop before the last product of a layer, whose result it does not need.
    last = 2 * shape.num_hidden_layers * shape.hidden_size * shape.intermediate_size
    counted = counter.get_total_flops() / (2 * tokens)
    assert counted in ({expected, expected - last} if checkpointing else {expected})


def test_causal_attention_costs_half_of_palms_count():
    shape, tokens = ModelShape(), 2048
    palm, exact = palm_flops_per_token(shape, tokens), training_flops_per_token(shape, tokens)
    attention = 12 * shape.num_hidden_layers * shape.query_size * tokens
    assert palm - 6 * shape.multiplied_parameters == attention
    assert palm - exact == pytest.approx(attention / 2, rel=1e-3)
    # 6 N is the rule of thumb; the input embedding and attention nearly make up for each other at 2,048 tokens.
    assert palm == pytest.approx(6 * shape.parameters, rel=0.05)


def test_a_step_lasts_as_long_as_its_operations_do():
    shape = ModelShape()
    plan = compute_plan(
        shape, sequence_length=2048, tokens_per_step=4_194_304, accumulation=1, steps=61_988, processes=512,
        flops=312e12, mfu=0.5,
    )  # fmt: skip
    by_hand = 4_194_304 * palm_flops_per_token(shape, 2048) / (512 * 312e12 * 0.5)
    assert plan.seconds_per_step == pytest.approx(by_hand)
    assert plan.gpu_hours == pytest.approx(by_hand * 61_988 * 512 / 3600)
    rate = plan.tokens_per_second / 512
    assert model_flops_utilisation(rate, plan.model_flops_per_token, plan.flops) == pytest.approx(0.5)
    assert plan.tokens == 61_988 * 4_194_304


def test_the_published_hours_are_those_of_one_utilisation():
    """Seven published runs, 7B to 70B: with one MFU for all, the hours of each come out within a sixth."""
    shares = {run.name: run.implied_mfu() for run in PUBLISHED_RUNS}
    assert shares["LLaMA 13B"] == pytest.approx(0.541, abs=0.001)
    assert shares["Llama 2 13B"] == pytest.approx(0.421, abs=0.001)
    mean = math.exp(sum(map(math.log, shares.values())) / len(shares))
    assert 0.4 < mean < 0.5
    for run in PUBLISHED_RUNS:
        plan = compute_plan(
            run.shape, sequence_length=run.sequence_length, tokens_per_step=4_000_000, accumulation=1,
            steps=int(run.tokens / 4e6), processes=1024, flops=GPUS["a100-80gb"].flops, mfu=mean,
        )  # fmt: skip
        assert plan.gpu_hours == pytest.approx(run.gpu_hours, rel=1 / 6), run.name


def test_the_published_speed_of_llama_65b():
    """Section 2.4 of Touvron et al. (2023a) says 380 tokens a second and GPU; the table of hours says the same."""
    run = next(run for run in PUBLISHED_RUNS if run.name == "LLaMA 65B")
    assert run.tokens / run.gpu_hours / 3600 == pytest.approx(380, rel=0.01)
    assert run.shape.parameters == pytest.approx(65.2e9, rel=0.01)


@given(st.integers(1, 100_000))
def test_longer_sequences_cost_more_a_token(length):
    shape = ModelShape()
    assert forward_flops_per_token(shape, length) < forward_flops_per_token(shape, length + 1)


def test_gpus_are_found_by_name():
    assert named_gpu("A100-80GB").memory == 80 * 2**30
    with pytest.raises(InputError, match="a100-40gb"):
        named_gpu("v100")
    whole, half = named_gpu("cpu"), named_gpu("cpu", processes=2)
    assert whole.memory // 2 == half.memory
    for gpu in GPUS.values():
        assert gpu.name == "cpu" or 0.8 * gpu.memory < gpu.usable < gpu.memory


def test_the_speed_of_this_machine_is_measured():
    assert 1e8 < measured_flops(seconds=0.01) < 1e15
