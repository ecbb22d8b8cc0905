"""How many operations a run takes, and how long they last.

Counted are the matrix products, two operations for each multiplication with an addition; everything else is less than
a hundredth. MFU (model FLOPs utilisation) is defined by PaLM (Chowdhery et al., 2022, appendix B): the operations
that the model needs, 6 a parameter and token and 12 x layers x width of all heads x sequence length for attention,
over what the GPU could do at best. It does not count what is computed again, nor that causal attention may skip half
of the pairs.
"""

from dataclasses import dataclass

from .model_shape import ModelShape

HOURS = 3600


def forward_flops_per_token(shape: ModelShape, sequence_length: int) -> float:
    """Of one forward pass: 2 for every parameter of a matrix, and causal attention's two products.

    The token at place t looks at t tokens, (sequence_length + 1) / 2 on average.
    """
    pairs = 4 * shape.num_hidden_layers * shape.query_size * (sequence_length + 1) / 2
    return 2 * shape.multiplied_parameters + pairs


def training_flops_per_token(shape: ModelShape, sequence_length: int, recomputed: float = 0) -> float:
    """Of forward and backward pass, which costs two forward passes; exact for causal attention.

    Args:
        shape: the model.
        sequence_length: tokens in a sequence.
        recomputed: share of the layers that activation checkpointing runs forward a second time.
    """
    forward = forward_flops_per_token(shape, sequence_length)
    layers = forward - 2 * shape.vocab_size * shape.hidden_size
    return 3 * forward + recomputed * layers


def palm_flops_per_token(shape: ModelShape, sequence_length: int) -> float:
    """The operations a token that MFU is measured in: 6 N + 12 L H Q T.

    N leaves the input embedding out, which is looked up. PaLM's own embedding is also its head, so there N is all.
    """
    attention = 12 * shape.num_hidden_layers * shape.query_size * sequence_length
    return 6 * shape.multiplied_parameters + attention


def model_flops_utilisation(tokens_per_second: float, flops_per_token: float, flops: float) -> float:
    """MFU as PaLM defines it.

    Args:
        tokens_per_second: of one GPU.
        flops_per_token: `palm_flops_per_token`.
        flops: of the GPU at best, per second.
    """
    return tokens_per_second * flops_per_token / flops


@dataclass(frozen=True)
class ComputePlan:
    """The work of a whole run and its time.

    Attributes:
        tokens_per_step: tokens in an optimizer step.
        accumulation: forward passes of a process for it.
        steps: optimizer steps.
        flops_per_token: matrix products with recomputation, causal attention.
        model_flops_per_token: PaLM's count, in which `mfu` is measured.
        six_n_per_token: 6 N, N all parameters, for comparison.
        mfu: model FLOPs utilisation.
        flops: of one GPU at best, per second.
        processes: GPUs.
    """

    tokens_per_step: int
    accumulation: int
    steps: int
    flops_per_token: float
    model_flops_per_token: float
    six_n_per_token: float
    mfu: float
    flops: float
    processes: int

    @property
    def tokens(self) -> int:
        """Tokens of the run."""
        return self.steps * self.tokens_per_step

    @property
    def total_flops(self) -> float:
        """Operations of the run, with recomputation."""
        return self.tokens * self.flops_per_token

    @property
    def tokens_per_second_at_best(self) -> float:
        """Of all GPUs at an MFU of 1."""
        return self.processes * self.flops / self.model_flops_per_token

    @property
    def tokens_per_second(self) -> float:
        """Of all GPUs."""
        return self.mfu * self.tokens_per_second_at_best

    @property
    def seconds_per_step(self) -> float:
        """Of an optimizer step."""
        return self.tokens_per_step / self.tokens_per_second

    @property
    def days(self) -> float:
        """Of training, without evaluation, checkpoints and interruptions."""
        return self.steps * self.seconds_per_step / (24 * HOURS)

    @property
    def gpu_hours(self) -> float:
        """Hours of all GPUs together."""
        return self.days * 24 * self.processes


def compute_plan(
    shape: ModelShape,
    *,
    sequence_length: int,
    tokens_per_step: int,
    accumulation: int,
    steps: int,
    processes: int,
    flops: float,
    mfu: float,
    recomputed: float = 0,
) -> ComputePlan:
    """The plan of a run; see ComputePlan and `training_flops_per_token` for the arguments."""
    return ComputePlan(
        tokens_per_step=tokens_per_step,
        accumulation=accumulation,
        steps=steps,
        flops_per_token=training_flops_per_token(shape, sequence_length, recomputed),
        model_flops_per_token=palm_flops_per_token(shape, sequence_length),
        six_n_per_token=6 * shape.parameters,
        mfu=mfu,
        flops=flops,
        processes=processes,
    )


@dataclass(frozen=True)
class PublishedRun:
    """A run of which model, tokens and GPU-hours were published.

    Attributes:
        name: the model.
        source: where it says so.
        shape: the model.
        sequence_length: tokens in a sequence.
        tokens: trained on.
        gpu_hours: of A100 GPUs with 80 GB.
    """

    name: str
    source: str
    shape: ModelShape
    sequence_length: int
    tokens: float
    gpu_hours: float

    def implied_mfu(self, flops: float = 312e12) -> float:
        """The MFU that the published hours come to under our count."""
        needed = self.tokens * palm_flops_per_token(self.shape, self.sequence_length)
        return needed / (self.gpu_hours * HOURS * flops)


_LLAMA, _LLAMA2 = "Touvron et al., 2023a, table 15", "Touvron et al., 2023b, table 2"
_7B, _13B = ModelShape(32_000, 4096, 11_008, 32, 32), ModelShape(32_000, 5120, 13_824, 40, 40)
PUBLISHED_RUNS = (
    PublishedRun("LLaMA 7B", _LLAMA, _7B, 2048, 1.0e12, 82_432),
    PublishedRun("LLaMA 13B", _LLAMA, _13B, 2048, 1.0e12, 135_168),
    PublishedRun("LLaMA 33B", _LLAMA, ModelShape(32_000, 6656, 17_920, 60, 52), 2048, 1.4e12, 530_432),
    PublishedRun("LLaMA 65B", _LLAMA, ModelShape(32_000, 8192, 22_016, 80, 64), 2048, 1.4e12, 1_022_362),
    PublishedRun("Llama 2 7B", _LLAMA2, _7B, 4096, 2.0e12, 184_320),
    PublishedRun("Llama 2 13B", _LLAMA2, _13B, 4096, 2.0e12, 368_640),
    PublishedRun("Llama 2 70B", _LLAMA2, ModelShape(32_000, 8192, 28_672, 80, 64, 8), 4096, 2.0e12, 1_720_320),
)
