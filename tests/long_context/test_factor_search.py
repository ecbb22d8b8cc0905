"""The search for divisors begins at the known methods and never ends behind them."""

import itertools

import numpy as np
import pytest
import torch

from nec13b import Nec13bConfig, Nec13bForCausalLM
from nec13b.errors import InputError
from nec13b.long_context.factor_search import STARTS, searched_factors
from nec13b.long_context.interpolations import INTERPOLATIONS, interpolation_named
from nec13b.long_context.position_losses import token_losses
from nec13b.long_context.position_report import draw_divisors

SHAPE = dict(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)


def model_with(**rope) -> Nec13bForCausalLM:
    torch.manual_seed(0)
    parameters = {"rope_type": "default", "rope_theta": 10000.0, **rope}
    return Nec13bForCausalLM(Nec13bConfig(**SHAPE, max_position_embeddings=128, rope_parameters=parameters)).eval()


def test_what_is_found_is_as_good_as_every_known_method_and_in_order():
    model, ids = model_with(), np.random.default_rng(0).integers(64, size=(2, 128))
    before = model.model.rotary_emb.inv_freq.clone()
    factors = searched_factors(model, ids, 4.0, 32, candidates=6, rounds=2)
    assert torch.equal(model.model.rotary_emb.inv_freq, before)
    assert len(factors) == 8
    assert all(1 <= low <= high <= 4 for low, high in itertools.pairwise(factors))

    def loss(**rope):
        return token_losses(model_with(**{"rope_type": "interpolation", **rope}), torch.from_numpy(ids)).mean().item()

    found = loss(method="factors", factors=factors)
    for name in STARTS:
        known = interpolation_named(name, 4.0, 32).to_rope_parameters(10000.0)
        known["attention_temperature"] = 1.0  # the search has no temperature
        assert found <= loss(**known) + 1e-4, name


def test_every_interpolation_has_a_name_and_a_line_in_the_picture(tmp_path):
    for name in INTERPOLATIONS:
        assert interpolation_named(name, 4.0, 256).factor == 4.0
    with pytest.raises(InputError, match="interpolation must be one of own, none"):
        interpolation_named("else", 4.0, 256)
    assert draw_divisors(tmp_path / "divisors.png").stat().st_size > 10_000
