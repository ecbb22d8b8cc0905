"""Which evaluations end a run, and what it says of the last good checkpoint."""

import pytest

from nec13b.alignment.hacking_signs import evaluations, sign_of_hacking, stop_at
from nec13b.alignment.held_out_scores import HeldOutScores, pair_scores
from nec13b.pretraining.checkpoints import mark_complete


def row(step: int, accuracy: float = 0.6, **more) -> dict:
    return {"step": step, "held_out_accuracy": accuracy, "held_out_chosen_ratio": 0.0, **more}


@pytest.mark.parametrize(
    ("rows", "limits", "expected"),
    [
        ([row(0), row(10, kl=0.2)], {"max_kl": 0.1}, ("KL to the reference is 0.200", 0)),
        ([row(0), row(10, kl=0.2)], {"max_kl": 0.3}, None),
        ([row(0), row(10, kl=0.2)], {}, None),
        ([row(0), row(10), row(20, length_ratio=2.5)], {"max_length_ratio": 2}, ("2.50 times as long", 10)),
        ([row(0), row(10, held_out_chosen_ratio=-0.5)], {"max_chosen_drop": 0.4}, ("lost 0.500 nats", 0)),
        ([row(0), row(10, held_out_chosen_ratio=0.5)], {"max_chosen_drop": 0.4}, None),
        ([row(0, 0.5), row(10, 0.7), row(20, 0.6), row(30, 0.55)], {"max_falls": 2}, ("fallen 2 times", 10)),
        ([row(0, 0.5), row(10, 0.7), row(20, 0.6), row(30, 0.6)], {"max_falls": 2}, None),
        ([row(0, 0.7), row(10, 0.6)], {"max_falls": 2}, None),
    ],
)
def test_signs(rows, limits, expected):
    found = sign_of_hacking(rows, limits)
    if expected is None:
        assert found is None
    else:
        assert expected[0] in found[0]
        assert found[1] == expected[1]


def test_of_a_step_that_was_evaluated_twice_the_later_one_counts():
    assert evaluations([row(5, 0.1), {"step": 5, "loss": 1.0}, row(5, 0.2)]) == [row(5, 0.2)]


def test_the_last_whole_checkpoint_before_the_sign_is_named(tmp_path):
    for step in (10, 20, 30):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "weights").write_text("x")
        if step != 20:
            mark_complete(tmp_path / f"checkpoint-{step}", step, {})
    assert "checkpoint-10 is from before" in str(stop_at(40, "odd", 20, tmp_path))
    assert "checkpoint-30 is from before" in str(stop_at(40, "odd", 30, tmp_path))
    assert "no checkpoint is from before" in str(stop_at(40, "odd", 5, tmp_path))


def test_scores_are_sums_over_pairs(torch_tensors):
    ratios, tokens = torch_tensors
    scores = HeldOutScores()
    scores.add(pair_scores(ratios[[0, 3]], tokens[[0, 3]], 0.5))  # in two batches
    scores.add(pair_scores(ratios[[1, 2, 4, 5]], tokens[[1, 2, 4, 5]], 0.5))
    found = scores.metrics("x")
    assert found["x_accuracy"] == pytest.approx((1 + 0.5 + 0) / 3)  # better, equal, worse
    assert found["x_margin"] == pytest.approx(0.5 * (3 + 0 - 1) / 3)
    assert found["x_chosen_ratio"] == pytest.approx((2 + 1 - 1) / 14)
    assert found["x_rejected_ratio"] == pytest.approx((-1 + 1 + 0) / 10)
    by_token = HeldOutScores()
    by_token.add(pair_scores(ratios, tokens, 1.0, per_token=True))
    assert by_token.metrics("x")["x_margin"] == pytest.approx((2 / 8 + 1 / 2 + 1 / 2 - 1 / 4 - 1 / 4) / 3)
    assert HeldOutScores().metrics("x") == {}


def test_rounding_is_no_preference(torch_tensors):
    ratios, tokens = torch_tensors
    assert pair_scores(ratios * 1e-6, tokens, 0.1)[:, 1].tolist() == [0.5, 0.5, 0.5]
    assert pair_scores(ratios, tokens, 0.1)[:, 1].tolist() == [1.0, 0.5, 0.0]


@pytest.fixture
def torch_tensors():
    """Log-ratios and lengths of three pairs: chosen 2, 1, -1; rejected -1, 1, 0."""
    import torch

    return torch.tensor([2.0, 1.0, -1.0, -1.0, 1.0, 0.0]), torch.tensor([8, 2, 4, 2, 4, 4])
