"""The losses of trl's DPOTrainer: what each is, and which settings it listens to.

With r = log pi(y|x) - log pi_ref(y|x) of an answer, and d = r(chosen) - r(rejected).
"""

from typing import Any

from ..errors import InputError

LOSSES = {
    "sigmoid": "DPO, the paper's: -log sigmoid(beta d) (Rafailov et al., arXiv:2305.18290)",
    "sigmoid_norm": "DPO with r divided by the answer's tokens; beta is then some 10 to 100 times larger",
    "ipo": "(d - 1 / (2 beta))^2 with r divided by the tokens (Azar et al., arXiv:2310.12036)",
    "robust": "DPO corrected for labels that are flipped with probability label_smoothing (arXiv:2403.00409)",
    "hinge": "max(0, 1 - beta d) (SLiC, Zhao et al., arXiv:2305.10425)",
    "exo_pair": "reverse KL to the preference, smoothed by label_smoothing (Ji et al., arXiv:2402.00856)",
    "nca_pair": "each answer against a fixed likelihood (NCA, Chen et al., arXiv:2402.05369)",
    "bco_pair": "each answer by itself, chosen up and rejected down (BCO, Jung et al., arXiv:2404.04656)",
    "sppo_hard": "r drawn to +-1 / (2 beta) (SPPO, Wu et al., arXiv:2405.00675)",
    "aot": "the sorted margins of a batch against the reference's (AOT, Melnyk et al., arXiv:2406.05882)",
    "aot_unpaired": "the same of unpaired answers",
    "apo_zero": "chosen up, rejected down, anchored to the reference (APO, D'Oosterlinck et al., arXiv:2408.06266)",
    "apo_down": "both down, rejected more: for answers worse than the model's own (the same)",
    "discopop": "a blend of logistic and exponential loss that was found by search (Lu et al., arXiv:2406.08414)",
    "sft": "the chosen answer's own cross-entropy, to be mixed with another one",
}
SMOOTHED = {"robust", "exo_pair", "aot", "aot_unpaired"}
PER_TOKEN = {"ipo", "sigmoid_norm"}  # r is a mean over the tokens of an answer
DIVERGENCES = ("reverse_kl", "forward_kl", "js_divergence", "alpha_divergence")
# A term beta log Z(x) cancels in d alone, so the others have no f-divergence.
OF_THE_DIFFERENCE = {"sigmoid", "sigmoid_norm", "hinge", "ipo", "exo_pair", "robust", "discopop", "sft"}


def check_losses(config: Any) -> None:
    """Makes sure that the loss can be computed, and that no setting of it is without effect.

    Args:
        config: with the fields of trl's DPOConfig.

    Raises:
        InputError: saying which setting does not fit.
    """
    losses = [config.loss_type] if isinstance(config.loss_type, str) else list(config.loss_type)
    if not losses:
        raise InputError(f"loss_type is empty; it is one or several of {', '.join(LOSSES)}")
    for name in losses:
        if name not in LOSSES:
            raise InputError(f"loss_type: there is no loss {name!r}; there are {', '.join(LOSSES)}")
    if losses == ["sft"]:
        raise InputError("loss_type sft alone learns no preference; mix it with another one, as in sigmoid sft")
    if config.loss_weights is not None and len(config.loss_weights) != len(losses):
        raise InputError(f"loss_weights has {len(config.loss_weights)} numbers for {len(losses)} losses; give one each")
    if not config.beta > 0:
        raise InputError(f"beta must be above 0, not {config.beta:g}")
    if not 0 <= config.label_smoothing < 0.5:
        raise InputError(f"label_smoothing must be at least 0 and below 0.5, not {config.label_smoothing:g}")
    if config.label_smoothing and not SMOOTHED.intersection(losses):
        raise InputError(
            f"label_smoothing has no effect on the loss {' and '.join(losses)}; loss_type robust is DPO with it"
        )
    if "exo_pair" in losses and not config.label_smoothing:
        raise InputError("loss_type exo_pair needs label_smoothing above 0; 0.001 is usual")
    if config.ld_alpha is not None and not 0 <= config.ld_alpha <= 1:
        raise InputError(f"ld_alpha must lie between 0 and 1, not {config.ld_alpha:g}")
    if config.f_divergence_type not in DIVERGENCES:
        raise InputError(f"f_divergence_type must be one of {', '.join(DIVERGENCES)}, not {config.f_divergence_type!r}")
    others = [name for name in losses if name not in OF_THE_DIFFERENCE]
    if config.f_divergence_type != "reverse_kl" and others:
        raise InputError(f"f_divergence_type {config.f_divergence_type} has no meaning for the loss {others[0]}")
    if config.use_weighting and {"aot", "aot_unpaired"}.intersection(losses):
        raise InputError("use_weighting weighs pairs, which the losses aot and aot_unpaired take apart")
