"""The scaling law: finds a law that is there, and says how sure it is."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.errors import InputError
from nec13b.pretraining.scaling import RunPoint, ScalingLaw, draw_scaling


@given(
    exponent=st.floats(0.02, 0.3), start=st.floats(2, 12), computes=st.lists(st.floats(12, 20), min_size=3, max_size=6)
)
def test_an_exact_law_is_found(exponent, start, computes):
    computes = sorted({round(c, 2) for c in computes})
    if len(computes) < 3:
        return
    points = [RunPoint("", 10**c, start * 10 ** (-exponent * (c - 12))) for c in computes]
    law = ScalingLaw.fit(points)
    assert law.slope == pytest.approx(-exponent, abs=1e-6)
    assert law.loss(1e21) == pytest.approx(start * 10 ** (-exponent * 9), rel=1e-4)
    low, high = law.interval(1e21)
    assert high - low < 1e-3 * high


def test_the_interval_covers_as_often_as_it_says():
    draw = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        noisy = [
            RunPoint("", c, 5 * (c / 1e13) ** -0.07 * math.exp(draw.normal(0, 0.02))) for c in (1e13, 4e13, 1.6e14)
        ]
        new = 5 * 100**-0.07 * math.exp(draw.normal(0, 0.02))
        low, high = ScalingLaw.fit(noisy).interval(1e15)
        covered += low <= new <= high
    assert 0.86 <= covered / 400 <= 0.94


def test_the_interval_widens_with_the_distance():
    law = ScalingLaw.fit([RunPoint("", 1e13, 5.0), RunPoint("", 4e13, 4.6), RunPoint("", 1.6e14, 4.1)])
    widths = [math.log(high / low) for low, high in (law.interval(c) for c in (4e13, 1e15, 1e17))]
    assert widths == sorted(widths)


def test_two_computes_are_no_law(tmp_path):
    with pytest.raises(InputError, match="at least three different computes"):
        ScalingLaw.fit([RunPoint("", 1e13, 5.0), RunPoint("", 1e13, 5.1), RunPoint("", 2e13, 4.9)])


def test_the_figure_is_drawn(tmp_path):
    points = [RunPoint("0.5 M", 1e13, 5.0), RunPoint("1 M", 4e13, 4.6), RunPoint("2 M", 1.6e14, 4.2)]
    curves = {p.name: [(p.flops / 10, 2 * p.loss), (p.flops, p.loss)] for p in points}
    path = draw_scaling(tmp_path / "scaling.png", ScalingLaw.fit(points), curves, RunPoint("4 M", 6e14, 3.9))
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["scaling.png"]
