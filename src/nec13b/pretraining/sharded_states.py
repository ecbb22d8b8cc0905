"""Checkpoints of a model that transformers has sharded itself, which is how tensor parallelism is done.

Trainer cannot save the optimizer of such a model, so it refuses to write checkpoints at all; these are the missing parts.
The weights of a checkpoint are whole (`model.safetensors`) and can be loaded under any layout; the optimizer's state is
kept in shards, by torch's distributed checkpoints, which can be read by another number of processes too.
"""

from pathlib import Path

import torch
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel
from transformers.distributed.checkpoint import load_optimizer_distributed, save_optimizer_distributed

OPTIMIZER_FOLDER = "optimizer"


def save_optimizer_state(model: PreTrainedModel, optimizer: torch.optim.Optimizer, checkpoint: str) -> None:
    """Writes the optimizer's state; every process has to call this."""
    save_optimizer_distributed(model, _unwrapped(optimizer), str(Path(checkpoint) / OPTIMIZER_FOLDER))


def load_optimizer_state(model: PreTrainedModel, optimizer: torch.optim.Optimizer, checkpoint: str) -> None:
    """Reads it again, on any number of processes; every process has to call this."""
    load_optimizer_distributed(model, _unwrapped(optimizer), str(Path(checkpoint) / OPTIMIZER_FOLDER))


@torch.no_grad()
def load_weights(model: PreTrainedModel, checkpoint: str) -> None:
    """Puts the weights of a checkpoint into a model that is sharded already; each process reads its own part."""
    loaded = type(model).from_pretrained(
        checkpoint,
        distributed_config=model.config.distributed_config,
        attn_implementation=model.config._attn_implementation,
        dtype=model.dtype,
    )
    for ours, saved in zip(model.parameters(), loaded.parameters(), strict=True):
        _local(ours).copy_(_local(saved))


def _local(parameter: torch.Tensor) -> torch.Tensor:
    return parameter.to_local() if isinstance(parameter, DTensor) else parameter


def _unwrapped(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    return getattr(optimizer, "optimizer", optimizer)  # accelerate's wrapper
