"""What a forward pass keeps for the backward pass, byte by byte.

Korthikanti et al. (2022, "Reducing activation recomputation in large transformer models") count a GPT layer: 34 bytes
per token and unit of width, and 5 more per head and pair of tokens where the attention scores are kept. This is the
same count for transformers' Llama as it runs here: RMSNorm in plain torch, rotary positions, SwiGLU, no dropout.
Every term names the tensors it stands for; a test counts what autograd really keeps and holds the terms to it.
"""

from dataclasses import dataclass

from .model_shape import ModelShape

ATTENTION_BACKENDS = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")


@dataclass(frozen=True)
class Arithmetic:
    """The bytes of an element where the model runs.

    Attributes:
        name: fp32; autocast (fp32 weights, matrix products in 16 bits: one process and DDP); or half (the weights that
            the layers see have 16 bits: FSDP2 and DeepSpeed).
        residual: of the residual stream.
        matrix: of what goes into and comes out of matrix products.
    """

    name: str
    residual: int
    matrix: int

    @classmethod
    def of(cls, mixed_precision: str, strategy: str) -> "Arithmetic":
        """Of a precision (no, bf16, fp16) under a strategy (see Layout)."""
        if mixed_precision == "no":
            return cls("fp32", 4, 4)
        if strategy in ("single", "ddp"):
            return cls("autocast", 4, 2)
        return cls("half", 2, 2)


def norm_bytes(width: int, arithmetic: Arithmetic, readers: int) -> int:
    """Kept by RMSNorm and the `readers` matrices that take its output, per token.

    The norm is computed in fp32 and keeps its input, the normalised input and one factor a token. In 16 bits the
    input is a copy made for it, else the residual stream itself, which nobody else keeps. The readers keep the
    output, under autocast each in a 16-bit copy of its own.
    """
    if arithmetic.name == "autocast":
        return width * (4 + 4 + 2 * readers) + 4
    return width * (4 + 2 * arithmetic.matrix) + 4


def attention_bytes(shape: ModelShape, arithmetic: Arithmetic, backend: str, keys: int, tensor: int = 1) -> int:
    """Kept by attention without its norm, per token.

    Queries, keys and values after the rotation and the output, which the output matrix keeps too. The fused kernels
    (sdpa, flash, flex) keep one fp32 number a head to compute the probabilities again. Eager attention keeps the
    probabilities of all `keys`: in fp32 from the softmax, and in 16 bits once more for the product with the values;
    and it repeats the key-value heads for each group.

    Args:
        shape: the model.
        arithmetic: bytes of an element.
        backend: one of ATTENTION_BACKENDS.
        keys: tokens that a token may look at, the length of the sequence.
        tensor: processes that share the heads.
    """
    m, query = arithmetic.matrix, shape.query_size
    key_values = query if backend == "eager" else shape.key_value_size
    kept = m * (2 * query + 2 * key_values)
    if backend == "eager":
        kept += shape.num_attention_heads * keys * (4 if m == 4 else 4 + m)
    else:
        kept += 4 * shape.num_attention_heads
    return kept // tensor


def feed_forward_bytes(shape: ModelShape, arithmetic: Arithmetic, tensor: int = 1) -> int:
    """Kept by SwiGLU without its norm, per token: gate, its SiLU, the other half, and their product."""
    return 4 * shape.intermediate_size * arithmetic.matrix // tensor


def layer_bytes(shape: ModelShape, arithmetic: Arithmetic, backend: str, keys: int, tensor: int = 1) -> int:
    """Kept by one layer, per token. Tensor parallelism divides all but the norms (Korthikanti et al., section 4.1)."""
    norms = norm_bytes(shape.hidden_size, arithmetic, 3) + norm_bytes(shape.hidden_size, arithmetic, 2)
    attention = attention_bytes(shape, arithmetic, backend, keys, tensor)
    return norms + attention + feed_forward_bytes(shape, arithmetic, tensor)


def checkpoint_bytes(shape: ModelShape, arithmetic: Arithmetic) -> int:
    """Kept by one layer that is computed again in the backward pass, per token: its input."""
    return shape.hidden_size * arithmetic.residual


def forward_passing_bytes(shape: ModelShape, arithmetic: Arithmetic, backend: str, keys: int, tensor: int = 1) -> int:
    """Alive inside the forward pass of the last layer beyond what it keeps until its end, per token.

    Eager attention holds the scores before and after scaling, or before and after the softmax (with an fp32 copy of its
    input in 16 bits), while the feed-forward half of the layer does not exist yet. The fused kernels hold nothing that
    comes near the feed-forward half.
    """
    if backend != "eager":
        return 0
    scores = shape.num_attention_heads * keys // tensor
    extra = scores * (4 if arithmetic.matrix == 4 else arithmetic.matrix + 2)
    later = feed_forward_bytes(shape, arithmetic, tensor) + norm_bytes(shape.hidden_size, arithmetic, 2)
    return max(0, extra - later)


def backward_passing_bytes(shape: ModelShape, arithmetic: Arithmetic, backend: str, keys: int, tensor: int = 1) -> int:
    """Alive inside the backward pass of a layer beyond what it has kept, per token.

    In the feed-forward half: the gradients of the product and of both its factors, while the product itself is freed;
    and the gradient of the residual stream. In eager attention: the gradients of the probabilities and of the scores,
    while the feed-forward half is freed.
    """
    m, width = arithmetic.matrix, shape.hidden_size
    feed_forward = 2 * shape.intermediate_size * m // tensor + width * arithmetic.residual
    if backend != "eager":
        return feed_forward
    scores = shape.num_attention_heads * keys // tensor
    freed = feed_forward_bytes(shape, arithmetic, tensor) + norm_bytes(width, arithmetic, 2)
    attention = scores * (8 if m == 4 else 8 + m) + 3 * width * arithmetic.residual - freed
    return max(feed_forward, attention)
