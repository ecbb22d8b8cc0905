"""Which frequency is divided by how much, and that bad values are named."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize("method", ["linear", "by_parts"])
def test_factor_one_is_the_original_model_bit_for_bit(method):
    torch.manual_seed(0)
    ours = Nec13bForCausalLM(small_config(method=method, factor=1.0, original_max_position_embeddings=64)).eval()
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


def test_the_configuration_survives_saving(tmp_path):
    config = small_config(method="by_parts", factor=8.0, original_max_position_embeddings=64, high_rotations=3.0)
    config.save_pretrained(tmp_path)
    assert Nec13bConfig.from_pretrained(tmp_path).rope_parameters == config.rope_parameters


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"method": "ntk2"}, "method must be one of linear, by_parts, not 'ntk2'"),
        ({"method": "linear", "factor": 0.5}, "factor must be at least 1"),
        ({"method": "linear", "factor": "4"}, "factor must be a finite number, not '4'"),
        ({"method": "linear", "factor": float("nan")}, "factor must be a finite number"),
        ({"method": "linear", "attention_temperature": 0}, "attention_temperature must be above 0"),
        ({"factor": 4.0}, "needs original_max_position_embeddings"),
        ({"factor": 4.0, "original_max_position_embeddings": 2048.0}, "whole number of tokens"),
        ({"original_max_position_embeddings": 8, "low_rotations": 2.0}, "below high_rotations"),
        ({"method": "linear", "factr": 4.0}, "unknown key 'factr'"),
        ({"rope_type": "interpolate"}, "unknown rope_type 'interpolate'"),
    ],
)
def test_bad_values_are_named(bad, said):
    with pytest.raises(Exception, match=said):
        small_config(**bad)
