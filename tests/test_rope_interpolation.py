"""Which frequency is divided by how much, and that bad values are named."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from nec13b import Nec13bConfig, Nec13bForCausalLM, RopeInterpolation

THETA, HEAD_DIM, WINDOW = 10000.0, 128, 2048
FREQUENCIES = 1.0 / (THETA ** (torch.arange(0, HEAD_DIM, 2, dtype=torch.float) / HEAD_DIM))
ROTATIONS = WINDOW * FREQUENCIES / (2 * math.pi)


def small_config(**rope):
    return Nec13bConfig(
        vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, rope_parameters={"rope_type": "interpolation", "rope_theta": THETA, **rope},
    )  # fmt: skip


def test_linear_divides_every_frequency_by_the_factor():
    assert torch.equal(RopeInterpolation("linear", 4.0).divisors(FREQUENCIES), torch.full((64,), 4.0))


@given(
    factor=st.floats(1, 64),
    low=st.floats(0.01, 4),
    width=st.floats(1.01, 100),
)
def test_by_parts_keeps_fast_frequencies_and_divides_slow_ones(factor, low, width):
    high = low * width
    divisors = RopeInterpolation("by_parts", factor, WINDOW, low, high).divisors(FREQUENCIES)
    close = dict(rtol=1e-5, atol=0)
    fast, slow = ROTATIONS >= high * 1.0001, ROTATIONS <= low * 0.9999
    torch.testing.assert_close(divisors[fast], torch.ones(int(fast.sum())), **close)
    torch.testing.assert_close(divisors[slow], torch.full((int(slow.sum()),), factor), **close)
    assert (divisors.diff() >= -1e-4 * factor).all()  # slower frequencies are never divided by less


def test_ntk_is_a_larger_base():
    raised = 4.0 ** (HEAD_DIM / (HEAD_DIM - 2)) * THETA
    expected = 1.0 / (raised ** (torch.arange(0, HEAD_DIM, 2, dtype=torch.float) / HEAD_DIM))
    divided = FREQUENCIES / RopeInterpolation("ntk", 4.0).divisors(FREQUENCIES)
    torch.testing.assert_close(divided, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("factor", [4.0, 16.0])
def test_by_parts_holds_transformers_yarn(factor):
    yarn = {"rope_type": "yarn", "rope_theta": THETA, "factor": factor, "original_max_position_embeddings": WINDOW}
    shape = dict(hidden_size=2 * HEAD_DIM, num_attention_heads=2, vocab_size=8, intermediate_size=8)
    wanted, attention = ROPE_INIT_FUNCTIONS["yarn"](LlamaConfig(**shape, rope_parameters={**yarn, "truncate": False}))
    temperature = (0.1 * math.log(factor) + 1) ** -2
    ours = RopeInterpolation("by_parts", factor, WINDOW, 1, 32, "linear", attention_temperature=temperature)
    torch.testing.assert_close(FREQUENCIES / ours.divisors(FREQUENCIES), wanted, rtol=2e-5, atol=0)
    assert ours.attention_scaling == pytest.approx(attention)


@given(factors=st.lists(st.floats(0.1, 100), min_size=16, max_size=16))
def test_factors_are_the_divisors(factors):
    frequencies = FREQUENCIES[:16]
    divisors = RopeInterpolation("factors", 4.0, factors=factors).divisors(frequencies)
    torch.testing.assert_close(divisors, torch.tensor(factors))


@pytest.mark.parametrize("method", ["none", "linear", "ntk", "by_parts", "factors"])
def test_factor_one_is_the_original_model_bit_for_bit(method):
    torch.manual_seed(0)
    own = {"factors": [1.0] * 16} if method == "factors" else {}
    ours = Nec13bForCausalLM(small_config(method=method, factor=1.0, original_max_position_embeddings=64, **own)).eval()
    plain = Nec13bForCausalLM(
        Nec13bConfig(**{**ours.config.to_dict(), "rope_parameters": {"rope_type": "default", "rope_theta": THETA}})
    ).eval()
    plain.load_state_dict(ours.state_dict())
    ids = torch.arange(60)[None]
    assert torch.equal(ours(ids).logits, plain(ids).logits)


def test_linear_interpolation_reads_positions_as_fractions():
    """Position 4p of a model interpolated by 4 turns by the angle of position p of the original one."""
    interpolated = Nec13bForCausalLM(small_config(method="linear", factor=4.0)).model.rotary_emb
    original = Nec13bForCausalLM(small_config(method="linear", factor=1.0)).model.rotary_emb
    x = torch.zeros(1)
    for ours, plain in zip(
        interpolated(x, torch.arange(0, 256, 4)[None]), original(x, torch.arange(64)[None]), strict=True
    ):
        torch.testing.assert_close(ours, plain, rtol=0, atol=1e-5)


def test_the_temperature_divides_attention_logits():
    scaling = RopeInterpolation("linear", 2.0, attention_temperature=0.25).attention_scaling
    assert scaling**2 == pytest.approx(4.0)
    rotary = Nec13bForCausalLM(small_config(method="linear", factor=2.0, attention_temperature=0.25)).model.rotary_emb
    cos, sin = rotary(torch.zeros(1), torch.arange(8)[None])
    torch.testing.assert_close(cos**2 + sin**2, torch.full_like(cos, 4.0))


def log_length_model(attention="sdpa") -> Nec13bForCausalLM:
    torch.manual_seed(0)
    rope = {"method": "none", "original_max_position_embeddings": 16, "log_length_attention": True}
    config = small_config(**rope)
    config._attn_implementation = attention
    return Nec13bForCausalLM(config).eval()


def plain_model_of(model) -> Nec13bForCausalLM:
    config = small_config(method="none")
    config._attn_implementation = model.config._attn_implementation
    plain = Nec13bForCausalLM(config).eval()
    plain.load_state_dict(model.state_dict())
    return plain


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_log_length_attention_scales_a_query_by_what_it_sees(attention):
    """Within the old window nothing changes, bit for bit; beyond it query n is the plain one times ln n / ln W."""
    model = log_length_model(attention)
    plain = plain_model_of(model)
    ids = torch.arange(48)[None]
    assert torch.equal(model(ids[:, :16]).logits, plain(ids[:, :16]).logits)
    scaled = plain_model_of(model)
    for layer in scaled.model.layers:  # one query at a time, with its scale put into the weights
        layer.self_attn.q_proj.weight.data *= math.log(48) / math.log(16)
    first = model.model.layers[0].self_attn
    hidden = torch.randn(1, 48, 64, generator=torch.Generator().manual_seed(0))
    positions = torch.arange(48)[None]
    arguments = dict(position_embeddings=model.model.rotary_emb(hidden, positions), position_ids=positions)
    arguments["attention_mask"] = torch.full((48, 48), float("-inf")).triu(1)[None, None]
    ours, _ = first(hidden, **arguments)
    theirs, _ = scaled.model.layers[0].self_attn(hidden, **arguments)
    torch.testing.assert_close(ours[:, -1], theirs[:, -1], rtol=0, atol=1e-6)
    assert not torch.allclose(model(ids).logits[:, -1], plain(ids).logits[:, -1], atol=1e-6)


def test_log_length_attention_is_exact_with_a_cache_and_for_packed_documents():
    model = log_length_model()
    ids = torch.arange(60)[None]
    options = dict(max_new_tokens=30, do_sample=False, eos_token_id=None, pad_token_id=0)
    cached = model.generate(ids[:, :10], use_cache=True, **options)
    assert torch.equal(cached, model.generate(ids[:, :10], use_cache=False, **options))
    first, second = ids[:, :25], ids[:, 25:]
    positions = torch.cat([torch.arange(25), torch.arange(35)])[None]
    packed = model(ids, position_ids=positions, use_cache=False).logits
    torch.testing.assert_close(packed[:, :25], model(first).logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(packed[:, 25:], model(second).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "interpolation",
    [
        RopeInterpolation("by_parts", 8.0, 64, high_rotations=3.0, attention_temperature=0.9),
        RopeInterpolation("ntk", 4.0, 64, log_length_attention=True),
        RopeInterpolation("factors", 4.0, 64, factors=tuple(1.0 + i / 4 for i in range(16))),
        RopeInterpolation("none", 4.0),
    ],
)
def test_the_configuration_survives_saving(tmp_path, interpolation):
    config = small_config(**interpolation.to_rope_parameters(THETA))
    config.save_pretrained(tmp_path)
    loaded = Nec13bConfig.from_pretrained(tmp_path)
    assert loaded.rope_parameters == config.rope_parameters
    read = RopeInterpolation.of(loaded)
    assert read.to_rope_parameters(THETA) == interpolation.to_rope_parameters(THETA)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"method": "ntk2"}, "method must be one of none, linear, ntk, by_parts, factors, not 'ntk2'"),
        ({"method": "factors"}, "factors, a list of numbers, belong to method factors"),
        ({"method": "linear", "factors": [1.0] * 16}, "belong to method factors and to no other"),
        ({"method": "factors", "factors": [1.0] * 15}, "factors has 15 numbers; the model has 16 frequencies"),
        ({"method": "factors", "factors": [0.0] * 16}, "finite numbers above 0, not 0.0"),
        ({"method": "factors", "factors": 4.0}, "must be a list of numbers, not 4.0"),
        ({"method": "none", "log_length_attention": True}, "log_length_attention needs original_max_position"),
        ({"method": "none", "log_length_attention": 1}, "must be true or false, not 1"),
        ({"method": "by_parts", "original_max_position_embeddings": 8, "ramp": "cosine"}, "ramp must be one of smooth"),
        ({"method": "linear", "factor": 0.5}, "factor must be at least 1"),
        ({"method": "linear", "factor": "4"}, "factor must be a finite number, not '4'"),
        ({"method": "linear", "factor": float("nan")}, "factor must be a finite number"),
        ({"method": "linear", "attention_temperature": 0}, "attention_temperature must be above 0"),
        ({"factor": 4.0}, "needs original_max_position_embeddings"),
        ({"factor": 4.0, "original_max_position_embeddings": 2048.0}, "whole number of tokens"),
        ({"original_max_position_embeddings": 8, "low_rotations": 5.0}, "below high_rotations, not 5.0 and 4.0"),
        ({"method": "linear", "factr": 4.0}, "unknown key 'factr'"),
        ({"rope_type": "interpolate"}, "unknown rope_type 'interpolate'"),
    ],
)
def test_bad_values_are_named(bad, said):
    with pytest.raises(Exception, match=said):
        small_config(**bad)
