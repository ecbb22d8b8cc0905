"""The configuration of NEC's 13B model: LLaMA's architecture at the paper's 13B shape (section 2)."""

from huggingface_hub.dataclasses import strict
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from .rope_interpolation import RopeInterpolation, inverse_frequencies_of


@strict
class Nec13bConfig(LlamaConfig):
    """A Llama configuration whose defaults are the paper's model; every Llama field means the same here.

    With the defaults the model has 13.20B parameters: 40 layers of width 5120 with 40 heads and a feed-forward width of
    13824, a window of 2048 tokens, and untied embeddings of a vocabulary of 50,176 (a multiple of 128, so that the
    matrices split evenly over GPUs).

    `rope_parameters` takes transformers' rope types and this project's `interpolation`.
    """

    model_type = "nec13b"

    vocab_size: int = 50176
    hidden_size: int = 5120
    intermediate_size: int = 13824
    num_hidden_layers: int = 40
    num_attention_heads: int = 40
    max_position_embeddings: int = 2048
    pad_token_id: int | None = 0
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2

    def validate_rope_type(self):
        """Part of the strict validation: an unknown rope type fails here instead of when the model is built."""
        rope_type = (self.rope_parameters or {}).get("rope_type", "default")
        known = {"default", *ROPE_INIT_FUNCTIONS}
        if rope_type not in known:
            raise ValueError(f"rope_parameters: unknown rope_type {rope_type!r}; known are {', '.join(sorted(known))}")

    # transformers finds the validation of the rope type `interpolation` by this method name.
    def _validate_interpolation_rope_parameters(self, rope_parameters: dict, ignore_keys=None):
        ignored = set(ignore_keys or ())
        interpolation = RopeInterpolation.from_rope_parameters(
            {k: v for k, v in rope_parameters.items() if k not in ignored}
        )
        if interpolation.factors is not None:
            interpolation.divisors(inverse_frequencies_of(self))  # their number must be that of the frequencies


__all__ = ["Nec13bConfig"]
