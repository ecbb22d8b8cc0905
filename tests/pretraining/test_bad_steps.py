"""Bad steps are noticed, and only they."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.errors import InputError
from nec13b.pretraining.bad_steps import FEWEST, LeftOut, LossWatch, Step


@pytest.mark.parametrize(
    ("loss", "norm", "said"),
    [
        (math.nan, 1.0, "the loss is nan"),
        (math.inf, 1.0, "the loss is inf"),
        (3.0, math.nan, "the gradient norm is nan"),
        (3.0, math.inf, "the gradient norm is inf"),
        (6.0, 1.0, "the loss leapt to 6.000, from a median of 3.000"),
    ],
)
def test_a_bad_step_is_named(loss, norm, said):
    watch = LossWatch(2.0, [3.0] * FEWEST)
    assert said in watch.fault(Step(FEWEST + 1, loss, norm))
    assert list(watch.losses) == [3.0] * FEWEST  # it is not compared with later


@given(st.lists(st.floats(2.0, 3.9), max_size=150))
def test_ordinary_losses_are_never_bad(losses):
    watch = LossWatch(2.0)
    assert all(watch.fault(Step(number, loss, 1.0)) is None for number, loss in enumerate(losses, 1))


def test_a_leap_needs_something_to_leap_from_and_a_threshold():
    assert LossWatch(2.0, [3.0] * (FEWEST - 1)).fault(Step(FEWEST, 9.0, 1.0)) is None
    assert LossWatch(0, [3.0] * 100).fault(Step(101, 9.0, 1.0)) is None


def test_a_resumed_watch_gives_the_same_verdicts():
    losses = [3.0 + 0.01 * (i % 7) for i in range(130)]
    whole = LossWatch(0.05)
    verdicts = [whole.fault(Step(i, loss, 1.0)) for i, loss in enumerate(losses)]
    resumed = LossWatch(0.05, [loss for loss, verdict in zip(losses[:90], verdicts) if verdict is None])
    assert [resumed.fault(Step(i, losses[i], 1.0)) for i in range(90, 130)] == verdicts[90:]


def test_left_out_steps_are_remembered(tmp_path):
    LeftOut(tmp_path).add(7, "not written", write=False)
    assert LeftOut(tmp_path).steps == {}
    left_out = LeftOut(tmp_path)
    left_out.add(12, "the loss is nan", write=True)
    left_out.add(3, "the loss is inf", write=True)
    assert LeftOut(tmp_path).steps == {3: "the loss is inf", 12: "the loss is nan"}
    (tmp_path / "left_out.json").write_text("[")
    with pytest.raises(InputError, match=r"left_out.json cannot be read"):
        LeftOut(tmp_path)
