"""What held-out preferences say of a model, summed pair by pair, so that it is exact however they are batched."""

from dataclasses import dataclass, field

import torch

COLUMNS = ("pairs", "preferred", "margin", "chosen", "rejected", "chosen_tokens", "rejected_tokens")
TIE = 1e-4  # nats: the rounding of a reference that was asked in other batches


def pair_scores(
    log_ratios: torch.Tensor, answer_tokens: torch.Tensor, beta: float, per_token: bool = False
) -> torch.Tensor:
    """What is summed of each pair, shape (pairs, len(COLUMNS)).

    Args:
        log_ratios: log pi(y|x) - log pi_ref(y|x) of each answer in nats, the chosen ones first, shape (2 x pairs,).
        answer_tokens: of each answer, the same shape.
        beta: what turns a log-ratio into a reward.
        per_token: the loss compares log-ratios divided by the answer's tokens.
    """
    rewards = beta * (log_ratios / answer_tokens.clamp(min=1) if per_token else log_ratios)
    chosen, rejected = rewards.chunk(2)
    # Two rewards that are equal say nothing, as before the first step: they count as a coin's toss.
    tied = (chosen - rejected).abs() < TIE * beta
    preferred = torch.where(tied, 0.5, (chosen > rejected).float())
    return torch.stack(
        [torch.ones_like(chosen), preferred, chosen - rejected, *log_ratios.chunk(2), *answer_tokens.float().chunk(2)],
        dim=-1,
    )


@dataclass
class HeldOutScores:
    """Sums over the held-out pairs of one source, or of all."""

    sums: torch.Tensor = field(default_factory=lambda: torch.zeros(len(COLUMNS), dtype=torch.float64))

    def add(self, scores: torch.Tensor) -> None:
        """Adds pairs, as `pair_scores` gives them."""
        self.sums += scores.double().sum(0).cpu()

    def metrics(self, prefix: str) -> dict[str, float]:
        """By name:

        accuracy: share of the pairs whose chosen answer has the larger reward, beta times its log-ratio; ties half.
        margin: mean difference of the rewards.
        chosen_ratio, rejected_ratio: nats a token by which the model finds such answers likelier than the reference.
        """
        of = dict(zip(COLUMNS, self.sums.tolist()))
        if not of["pairs"]:
            return {}
        return {
            f"{prefix}_accuracy": of["preferred"] / of["pairs"],
            f"{prefix}_margin": of["margin"] / of["pairs"],
            f"{prefix}_chosen_ratio": of["chosen"] / max(1, of["chosen_tokens"]),
            f"{prefix}_rejected_ratio": of["rejected"] / max(1, of["rejected_tokens"]),
        }
