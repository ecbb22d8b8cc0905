"""Per-frequency interpolation of rotary position embeddings (section 2(4) of the paper: long context).

Rotary embeddings turn the i-th pair of channels by `position * theta ** (-2i / head_dim)`. A model that was trained on
a window of W tokens is stretched to a longer one by *interpolation*: some of these frequencies are divided, so that
positions beyond W turn the channels by angles that the model has seen. Which frequencies are divided by how much is
all that tells the methods apart, so one class holds it: `RopeInterpolation` gives a divisor for every frequency.

    linear     every frequency is divided by the factor (position interpolation, Chen et al., arXiv:2306.15595)
    by_parts   frequencies that turn often within the window keep their resolution, slow ones are divided by the whole
               factor, with a smooth ramp between (the idea of NTK-by-parts, Peng et al., arXiv:2309.00071)

The module registers itself with transformers under the rope type `interpolation`; a config asks for it by

    "rope_parameters": {"rope_type": "interpolation", "rope_theta": 10000.0, "method": "by_parts", "factor": 4.0,
                        "original_max_position_embeddings": 2048, "low_rotations": 0.5, "high_rotations": 2.0}

It imports nothing of the project: it travels to the Hub beside the model.
"""

import math
from dataclasses import dataclass, fields

import torch
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

ROPE_TYPE = "interpolation"
METHODS = ("linear", "by_parts")


@dataclass(frozen=True)
class RopeInterpolation:
    """How the rotary frequencies of a model are interpolated.

    Attributes:
        method: `linear` or `by_parts`.
        factor: new window divided by the original one, at least 1.
        original_max_position_embeddings: the window, in tokens, that the model was trained on; `by_parts` needs it.
        low_rotations: by_parts: frequencies with fewer full turns than this in the original window are divided by the
            whole factor.
        high_rotations: by_parts: frequencies with at least this many turns are kept.
        attention_temperature: attention logits are divided by this; 1 leaves them alone. YaRN's `t`, where
            `1 / sqrt(t) = 0.1 * ln(factor) + 1` is its choice for by-parts interpolation.

    Raises:
        ValueError: a value is out of range; the message names the field.
    """

    method: str = "by_parts"
    factor: float = 1.0
    original_max_position_embeddings: int | None = None
    low_rotations: float = 0.5
    high_rotations: float = 2.0
    attention_temperature: float = 1.0

    def __post_init__(self):
        if self.method not in METHODS:
            raise ValueError(f"rope_parameters: method must be one of {', '.join(METHODS)}, not {self.method!r}")
        for name in ("factor", "low_rotations", "high_rotations", "attention_temperature"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ValueError(f"rope_parameters: {name} must be a finite number, not {value!r}")
        if self.factor < 1:
            raise ValueError(f"rope_parameters: factor must be at least 1 (new window / old window), not {self.factor}")
        if self.attention_temperature <= 0:
            raise ValueError(
                f"rope_parameters: attention_temperature must be above 0, not {self.attention_temperature}"
            )
        if not 0 < self.low_rotations < self.high_rotations:
            raise ValueError(
                "rope_parameters: low_rotations must be above 0 and below high_rotations, "
                f"not {self.low_rotations} and {self.high_rotations}"
            )
        window = self.original_max_position_embeddings
        if window is None and self.method == "by_parts":
            raise ValueError(
                "rope_parameters: by_parts needs original_max_position_embeddings, the window the model was trained on"
            )
        if window is not None and (isinstance(window, bool) or not isinstance(window, int) or window < 1):
            raise ValueError(
                f"rope_parameters: original_max_position_embeddings must be a whole number of tokens, not {window!r}"
            )

    @classmethod
    def from_rope_parameters(cls, rope_parameters: dict) -> "RopeInterpolation":
        """Reads a config's `rope_parameters`; raises ValueError for an unknown key, naming the known ones."""
        own = {field.name for field in fields(cls)}
        shared = {"rope_type", "type", "rope_theta", "partial_rotary_factor"}
        unknown = sorted(set(rope_parameters) - own - shared)
        if unknown:
            raise ValueError(
                f"rope_parameters: unknown key {unknown[0]!r}; known are {', '.join(sorted(own | shared))}"
            )
        return cls(**{key: value for key, value in rope_parameters.items() if key in own})

    def divisors(self, inverse_frequencies: torch.Tensor) -> torch.Tensor:
        """By how much each frequency is divided, between 1 and `factor`.

        Args:
            inverse_frequencies: angles per token in radians, shape (rotary_dim / 2,), fp32.

        Returns:
            Tensor of the same shape. These are also the `long_factor`s of transformers' `longrope`.
        """
        if self.method == "linear":
            return torch.full_like(inverse_frequencies, self.factor)
        rotations = self.original_max_position_embeddings * inverse_frequencies / (2 * math.pi)
        # Channels are spaced evenly in log frequency, so the ramp runs over log rotations; smoothstep joins the kept
        # and the divided frequencies without a kink.
        span = math.log(self.high_rotations / self.low_rotations)
        position = (torch.log(rotations / self.low_rotations) / span).clamp(0, 1)
        kept = position * position * (3 - 2 * position)
        return 1 / (kept + (1 - kept) / self.factor)

    @property
    def attention_scaling(self) -> float:
        """The factor on cos and sin (queries and keys both carry it) that divides logits by the temperature."""
        return 1 / math.sqrt(self.attention_temperature)


def interpolated_rope(config, device=None, seq_len=None, layer_type=None) -> tuple[torch.Tensor, float]:
    """transformers' rope initialisation for the type `interpolation`.

    Args:
        config: a config with `rope_parameters` and `head_dim`.
        device: where the frequencies are put.
        seq_len: ignored; the interpolation does not depend on the length of a sequence.
        layer_type: for models whose layers differ in `rope_parameters`.

    Returns:
        (inverse frequencies in radians per token, fp32, shape (rotary_dim / 2,); factor on cos and sin).
    """
    rope_parameters = config.rope_parameters[layer_type] if layer_type is not None else config.rope_parameters
    interpolation = RopeInterpolation.from_rope_parameters(rope_parameters)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    dim = int(head_dim * rope_parameters.get("partial_rotary_factor", 1.0))
    # The same expression as transformers' default rope, so that factor 1 is bitwise the original model.
    inverse_frequencies = 1.0 / (rope_parameters["rope_theta"] ** (torch.arange(0, dim, 2, dtype=torch.float) / dim))
    inverse_frequencies = inverse_frequencies / interpolation.divisors(inverse_frequencies)
    return inverse_frequencies.to(device), interpolation.attention_scaling


ROPE_INIT_FUNCTIONS[ROPE_TYPE] = interpolated_rope
