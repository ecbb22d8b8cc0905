"""The loss without the logits: the head and the cross entropy, a few hundred tokens at a time.

The logits of a batch are its largest tensor by far: 4 sequences of 2,048 tokens and a vocabulary of 50,176 make 1.6 GB
in fp32, as much again for their gradient, and bf16 copies besides. torch's `linear_cross_entropy` computes loss and
gradients of a chunk of tokens together, so only one chunk's logits exist at any time. This module makes a model's
forward use it.
"""

from dataclasses import dataclass
from types import MethodType

import torch
from torch.nn import LinearCrossEntropyOptions
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

IGNORED = -100
CPU_CHUNK_TOKENS = 256  # on the CPU torch's own choice makes chunks so small that its matrix products slow down twofold


@dataclass
class ChunkedLossOutput(ModelOutput):
    """What the forward returns where labels are given.

    Attributes:
        loss: nats per token, a scalar.
        token_losses: (batch, tokens) without gradient, 0 where there is no label; None unless asked for or below fp32.
    """

    loss: torch.FloatTensor | None = None
    token_losses: torch.FloatTensor | None = None


def use_chunked_loss(model: PreTrainedModel, chunk_tokens: int | None = None) -> None:
    """Makes `model(..., labels=...)` compute its loss in chunks; without labels it gives logits as before.

    Args:
        model: a causal language model with `model` (the decoder) and `lm_head` (a linear layer without bias).
        chunk_tokens: tokens in a chunk; None takes 256 on the CPU, and torch's choice by shape elsewhere.
    """
    whole = model.forward

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        inputs_embeds=None,
        labels=None,
        use_cache=None,
        logits_to_keep=0,
        shift_labels=None,
        num_items_in_batch=None,
        token_losses: bool = False,
        **kwargs,
    ):
        # generate() looks at these names to know what to give.
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "position_ids": position_ids,
            "past_key_values": past_key_values,
            "inputs_embeds": inputs_embeds,
            "use_cache": use_cache,
            **kwargs,
        }
        if labels is None and shift_labels is None:
            return whole(**inputs, logits_to_keep=logits_to_keep)
        hidden = self.model(**inputs).last_hidden_state
        if shift_labels is None:
            shift_labels = F.pad(labels[..., 1:], (0, 1), value=IGNORED)
        return chunked_loss(
            hidden, self.lm_head.weight, shift_labels, chunk_tokens, num_items_in_batch, by_token=token_losses
        )

    model.forward = MethodType(forward, model)
    model.gives_token_losses = True


def chunked_loss(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    chunk_tokens: int | None = None,
    num_items: torch.Tensor | int | None = None,
    by_token: bool = False,
) -> ChunkedLossOutput:
    """Cross entropy of `hidden @ weight.T` against targets, as transformers' ForCausalLMLoss gives it.

    Args:
        hidden: (batch, tokens, width) states.
        weight: (vocabulary, width) of the head.
        targets: (batch, tokens) ids of the next tokens; -100 is left out.
        chunk_tokens: tokens in a chunk, see `use_chunked_loss`.
        num_items: what the sum of the losses is divided by; None takes the number of targets.
        by_token: also return each token's loss, which costs one more product with the head; always done below fp32.
    """
    device = hidden.device.type
    if torch.is_autocast_enabled(device):  # torch's function does not know of autocast
        hidden, weight = (x.to(torch.get_autocast_dtype(device)) for x in (hidden, weight))
    elif hidden.dtype != weight.dtype:
        weight = weight.to(hidden.dtype)
    if chunk_tokens is None and device == "cpu":
        chunk_tokens = CPU_CHUNK_TOKENS
    chosen = {"chunking_method": None, "batch_chunk_size": chunk_tokens} if chunk_tokens else {}
    # torch returns the sum in the precision of the states, which for bf16 rounds a loss of 2.3 to steps of 0.016; the
    # losses of tokens, rounded so, average out.
    by_token = by_token or hidden.dtype != torch.float32
    flat = targets.reshape(-1)
    losses = F.linear_cross_entropy(
        hidden.reshape(-1, hidden.shape[-1]),
        weight,
        flat,
        ignore_index=IGNORED,
        reduction="none" if by_token else "sum",
        options=LinearCrossEntropyOptions(**chosen),
    )
    items = (flat != IGNORED).sum() if num_items is None else num_items
    loss = losses.float().sum() / items
    return ChunkedLossOutput(loss, losses.detach().float().reshape(targets.shape) if by_token else None)
