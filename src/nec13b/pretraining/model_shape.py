"""The sizes of a model, from which parameters, operations and bytes follow without building it."""

from dataclasses import dataclass
from typing import Any

from ..errors import InputError


@dataclass(frozen=True)
class ModelShape:
    """A Llama-shaped decoder.

    Attributes:
        vocab_size: rows of the embedding and of the head, which are two matrices unless `tied`.
        hidden_size: width of the residual stream.
        intermediate_size: width of the feed-forward layers.
        num_hidden_layers: layers.
        num_attention_heads: heads.
        num_key_value_heads: key-value heads.
        head_dim: width of a head; None is hidden_size / num_attention_heads.
        tied: the head is the embedding.
    """

    vocab_size: int = 50_176
    hidden_size: int = 5120
    intermediate_size: int = 13_824
    num_hidden_layers: int = 40
    num_attention_heads: int = 40
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    tied: bool = False

    def __post_init__(self):
        for name in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        # The dataclass is frozen so that a shape can be a key; these two only fill in what None stands for.
        object.__setattr__(self, "num_key_value_heads", self.num_key_value_heads or self.num_attention_heads)
        if self.head_dim is None and self.hidden_size % self.num_attention_heads:
            raise InputError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}"
            )
        object.__setattr__(self, "head_dim", self.head_dim or self.hidden_size // self.num_attention_heads)
        if self.num_attention_heads % self.num_key_value_heads:
            raise InputError(
                f"num_attention_heads {self.num_attention_heads} is not a multiple of num_key_value_heads "
                f"{self.num_key_value_heads}"
            )

    @classmethod
    def of(cls, config: Any) -> "ModelShape":
        """From anything with the fields' names: PretrainConfig, Nec13bConfig, LlamaConfig."""
        names = [name for name in cls.__dataclass_fields__ if name != "tied"]
        return cls(
            **{name: getattr(config, name, None) for name in names}, tied=getattr(config, "tie_word_embeddings", False)
        )

    @property
    def query_size(self) -> int:
        """Width of all queries of a token."""
        return self.num_attention_heads * self.head_dim

    @property
    def key_value_size(self) -> int:
        """Width of all keys of a token, and of all values."""
        return self.num_key_value_heads * self.head_dim

    @property
    def embedding_parameters(self) -> int:
        """Of the input embedding, which is looked up and not multiplied with."""
        return self.vocab_size * self.hidden_size

    @property
    def head_parameters(self) -> int:
        """Of the matrix that makes logits; 0 where the embedding does it."""
        return 0 if self.tied else self.vocab_size * self.hidden_size

    @property
    def layer_matrix_parameters(self) -> int:
        """Of the matrices of one layer."""
        attention = 2 * self.hidden_size * (self.query_size + self.key_value_size)
        return attention + 3 * self.hidden_size * self.intermediate_size

    @property
    def layer_parameters(self) -> int:
        """Of one layer with its two norms."""
        return self.layer_matrix_parameters + 2 * self.hidden_size

    @property
    def parameters(self) -> int:
        """Of the whole model."""
        layers = self.num_hidden_layers * self.layer_parameters
        return self.embedding_parameters + layers + self.hidden_size + self.head_parameters

    @property
    def non_embedding_parameters(self) -> int:
        """Of the layers and the last norm, as Kaplan et al. (2020) count."""
        return self.parameters - self.embedding_parameters - self.head_parameters

    @property
    def multiplied_parameters(self) -> int:
        """Of all matrices that every token is multiplied with: the layers' and the head's."""
        return self.num_hidden_layers * self.layer_matrix_parameters + self.vocab_size * self.hidden_size
