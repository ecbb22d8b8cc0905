"""Per-frequency interpolation of rotary position embeddings (section 2(4) of the paper: long context).

Rotary embeddings turn the i-th pair of channels by `position * theta ** (-2i / head_dim)`. A model that was trained on
a window of W tokens is stretched to a longer one by *interpolation*: some of these frequencies are divided, so that
positions beyond W turn the channels by angles that the model has seen. Which frequencies are divided by how much is
all that tells the methods apart, so one class holds it: `RopeInterpolation` gives a divisor for every frequency.

    none       the frequencies stay: the window is stretched by training alone
    linear     every frequency is divided by the factor (position interpolation, Chen et al., arXiv:2306.15595)
    ntk        the base is raised, so that the slowest frequency is divided by the factor and the fastest stays
               (NTK-aware interpolation, a larger `rope_theta`; Peng et al., arXiv:2309.00071, section 3.1)
    by_parts   frequencies that turn often within the window keep their resolution, slow ones are divided by the whole
               factor, with a ramp between (NTK-by-parts and YaRN, ibid., sections 3.2 and 3.4)
    factors    a divisor for each frequency, from wherever (LongRoPE, Ding et al., arXiv:2402.13753)

Beside the frequencies, attention can be sharpened, since its entropy grows with the number of tokens: by a constant
temperature, as YaRN does, or by the logarithm of the length, which each query knows from its own position.

The divisors do not depend on the sequence. So cached generation and sequences in which several documents are packed
are exact, and a plain Llama holds them as `longrope` factors. The module registers itself with transformers under the
rope type `interpolation`; a config asks for it by

    "rope_parameters": {"rope_type": "interpolation", "rope_theta": 10000.0, "method": "by_parts", "factor": 4.0,
                        "original_max_position_embeddings": 2048, "low_rotations": 0.25, "high_rotations": 4.0}

It imports nothing of the project: it travels to the Hub beside the model.
"""

import math
from dataclasses import dataclass, fields

import torch
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

ROPE_TYPE = "interpolation"
METHODS = ("none", "linear", "ntk", "by_parts", "factors")
RAMPS = ("smooth", "linear")


@dataclass(frozen=True)
class RopeInterpolation:
    """How the rotary frequencies of a model are interpolated.

    Attributes:
        method: `none`, `linear`, `ntk`, `by_parts` or `factors`.
        factor: new window divided by the original one, at least 1. For `factors` it is only noted.
        original_max_position_embeddings: the window, in tokens, that the model was trained on; `by_parts` and
            `log_length_attention` need it.
        low_rotations: by_parts: frequencies with fewer full turns than this in the original window are divided by the
            whole factor.
        high_rotations: by_parts: frequencies with at least this many turns are kept.
        ramp: by_parts: the form between the two over the logarithm of the turns, `smooth` or `linear` (YaRN's).
        factors: factors: the divisor of each frequency, fastest first; rotary_dim / 2 numbers above 0.
        attention_temperature: attention logits are divided by this; 1 leaves them alone. YaRN's `t`, where
            `1 / sqrt(t) = 0.1 * ln(factor) + 1` is its choice for by-parts interpolation.
        log_length_attention: multiply the logits of a query that sees n tokens by max(1, ln n / ln W), with W the
            original window, so that what lies within it is left alone (after Chiang and Cholak, arXiv:2202.12172).
            A plain Llama has no place for it.

    Raises:
        ValueError: a value is out of range; the message names the field.
    """

    method: str = "by_parts"
    factor: float = 1.0
    original_max_position_embeddings: int | None = None
    low_rotations: float = 0.25
    high_rotations: float = 4.0
    ramp: str = "smooth"
    factors: tuple[float, ...] | list[float] | None = None
    attention_temperature: float = 1.0
    log_length_attention: bool = False

    def __post_init__(self):
        for name, choices in (("method", METHODS), ("ramp", RAMPS)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"rope_parameters: {name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}"
                )
        for name in ("factor", "low_rotations", "high_rotations", "attention_temperature"):
            if not _is_number(getattr(self, name)):
                raise ValueError(f"rope_parameters: {name} must be a finite number, not {getattr(self, name)!r}")
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
        if not isinstance(self.log_length_attention, bool):
            raise ValueError(
                f"rope_parameters: log_length_attention must be true or false, not {self.log_length_attention!r}"
            )
        self._check_factors()
        self._check_window()

    def _check_factors(self) -> None:
        if (self.method == "factors") != (self.factors is not None):
            raise ValueError("rope_parameters: factors, a list of numbers, belong to method factors and to no other")
        if self.factors is None:
            return
        if not isinstance(self.factors, (list, tuple)) or not self.factors:
            raise ValueError(f"rope_parameters: factors must be a list of numbers, not {self.factors!r}")
        for value in self.factors:
            if not _is_number(value) or value <= 0:
                raise ValueError(f"rope_parameters: factors must be finite numbers above 0, not {value!r}")

    def _check_window(self) -> None:
        window = self.original_max_position_embeddings
        for needs, name in (
            (self.method == "by_parts", "by_parts"),
            (self.log_length_attention, "log_length_attention"),
        ):
            if window is None and needs:
                raise ValueError(
                    f"rope_parameters: {name} needs original_max_position_embeddings, the window the model was trained "
                    "on"
                )
        if window is not None and (isinstance(window, bool) or not isinstance(window, int) or window < 1):
            raise ValueError(
                f"rope_parameters: original_max_position_embeddings must be a whole number of tokens, not {window!r}"
            )
        if self.log_length_attention and window < 2:
            raise ValueError("rope_parameters: log_length_attention needs an original window of at least 2 tokens")

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

    @classmethod
    def of(cls, config) -> "RopeInterpolation | None":
        """The interpolation that a model's config asks for; None for transformers' own rope types."""
        rope_parameters = config.rope_parameters or {}
        return cls.from_rope_parameters(rope_parameters) if rope_parameters.get("rope_type") == ROPE_TYPE else None

    def to_rope_parameters(self, rope_theta: float) -> dict:
        """What a config holds: the fields that this method reads, and the rope type."""
        unused = {"factors"} if self.method != "factors" else set()
        unused |= {"low_rotations", "high_rotations", "ramp"} if self.method != "by_parts" else set()
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in unused}
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {"rope_type": ROPE_TYPE, "rope_theta": rope_theta, **values}

    def divisors(self, inverse_frequencies: torch.Tensor) -> torch.Tensor:
        """By how much each frequency is divided.

        Args:
            inverse_frequencies: angles per token in radians, fastest first, shape (rotary_dim / 2,), fp32.

        Returns:
            Tensor of the same shape. These are also the `long_factor`s of transformers' `longrope`.

        Raises:
            ValueError: there are not as many `factors` as frequencies.
        """
        count = len(inverse_frequencies)
        if self.method == "none":
            return torch.ones_like(inverse_frequencies)
        if self.method == "linear":
            return torch.full_like(inverse_frequencies, self.factor)
        if self.method == "ntk":
            return self.factor ** (torch.arange(count).to(inverse_frequencies) / max(1, count - 1))
        if self.method == "factors":
            if len(self.factors) != count:
                raise ValueError(
                    f"rope_parameters: factors has {len(self.factors)} numbers; the model has {count} frequencies"
                )
            return torch.tensor(self.factors).to(inverse_frequencies)
        rotations = self.original_max_position_embeddings * inverse_frequencies / (2 * math.pi)
        # Channels are spaced evenly in log frequency, so the ramp runs over log rotations; the smooth one (smoothstep)
        # joins the kept and the divided frequencies without a kink.
        span = math.log(self.high_rotations / self.low_rotations)
        kept = (torch.log(rotations / self.low_rotations) / span).clamp(0, 1)
        if self.ramp == "smooth":
            kept = kept * kept * (3 - 2 * kept)
        return 1 / (kept + (1 - kept) / self.factor)

    @property
    def attention_scaling(self) -> float:
        """The factor on cos and sin (queries and keys both carry it) that divides logits by the temperature."""
        return 1 / math.sqrt(self.attention_temperature)

    def query_scale(self, position_ids: torch.Tensor) -> torch.Tensor:
        """What `log_length_attention` multiplies queries by: max(1, ln n / ln W) for a query that sees n tokens.

        Args:
            position_ids: positions in their document, any shape.

        Returns:
            fp32, of the same shape; 1 within the original window.
        """
        seen = position_ids.to(torch.float32) + 1
        return (torch.log(seen) / math.log(self.original_max_position_embeddings)).clamp(min=1)


def _is_number(value) -> bool:
    return not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)


def inverse_frequencies_of(config, layer_type=None) -> torch.Tensor:
    """The frequencies before any interpolation: radians per token, fastest first, fp32, shape (rotary_dim / 2,)."""
    rope_parameters = config.rope_parameters[layer_type] if layer_type is not None else config.rope_parameters
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    dim = int(head_dim * rope_parameters.get("partial_rotary_factor", 1.0))
    # The same expression as transformers' default rope, so that factor 1 is bitwise the original model.
    return 1.0 / (rope_parameters["rope_theta"] ** (torch.arange(0, dim, 2, dtype=torch.float) / dim))


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
    inverse_frequencies = inverse_frequencies_of(config, layer_type)
    inverse_frequencies = inverse_frequencies / interpolation.divisors(inverse_frequencies)
    return inverse_frequencies.to(device), interpolation.attention_scaling


ROPE_INIT_FUNCTIONS[ROPE_TYPE] = interpolated_rope
