"""Which settings of the loss are refused, and that every loss named here is one that trl knows."""

from types import SimpleNamespace

import pytest
import torch
from trl import DPOConfig

from nec13b.alignment.align_trainer import verbose_weights
from nec13b.alignment.losses import LOSSES, check_losses
from nec13b.errors import InputError


def settings(**changes):
    values = {
        "loss_type": ["sigmoid"], "loss_weights": None, "beta": 0.1, "label_smoothing": 0.0, "ld_alpha": None,
        "f_divergence_type": "reverse_kl", "use_weighting": False,
    }  # fmt: skip
    return SimpleNamespace(**{**values, **changes})


def test_these_are_trls_losses():
    named = DPOConfig.__dataclass_fields__["loss_type"].metadata["help"]
    assert sorted(LOSSES) == sorted(part for part in named.split("'") if part.isidentifier() and part != "Possible")


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_can_be_asked_for(loss):
    mixed = ["sigmoid", "sft"] if loss == "sft" else [loss]
    check_losses(settings(loss_type=mixed, label_smoothing=0.001 if loss == "exo_pair" else 0.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss_type": ["sigmoyd"]}, "there is no loss 'sigmoyd'"),
        ({"loss_type": []}, "loss_type is empty"),
        ({"loss_type": ["sft"]}, "learns no preference"),
        ({"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0]}, "1 numbers for 2 losses"),
        ({"beta": 0.0}, "beta must be above 0"),
        ({"label_smoothing": 0.5}, "label_smoothing must be"),
        ({"label_smoothing": 0.1}, "no effect on the loss sigmoid; loss_type robust"),
        ({"loss_type": ["exo_pair"]}, "needs label_smoothing"),
        ({"ld_alpha": 1.5}, "ld_alpha must lie"),
        ({"f_divergence_type": "kl"}, "f_divergence_type must be one of"),
        ({"f_divergence_type": "forward_kl", "loss_type": ["apo_zero"]}, "no meaning for the loss apo_zero"),
        ({"use_weighting": True, "loss_type": ["aot"]}, "use_weighting"),
    ],
)
def test_what_cannot_be_or_does_nothing_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        check_losses(settings(**changes))


def test_ld_dpo_weighs_what_is_beyond_the_shorter_answer():
    counted = torch.tensor([[0, 1, 1, 1, 1], [0, 1, 1, 0, 0]])  # the chosen answer has four tokens, the other two
    assert verbose_weights(counted, None).tolist() == counted.tolist()
    assert verbose_weights(counted, 0.5).tolist() == [[0, 1, 1, 0.5, 0.5], [0, 1, 1, 0, 0]]
