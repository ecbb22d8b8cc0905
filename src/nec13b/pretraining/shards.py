"""Shards that lie in one piece. With tensor parallelism and FSDP together a rank's part of a matrix is several blocks
of rows that are not neighbours (torch's strided shards), but a distributed checkpoint notes one block a rank, and would
mix them up (see transformers' distributed/checkpoint.py). So they are dealt out anew before writing, and back after
reading.
"""

import torch
from torch.distributed.tensor import DTensor, Shard
from torch.distributed.tensor.placement_types import _StridedShard


def in_blocks(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors, with every rank's part in one block; what is so already is not copied.

    Every process has to call this, with the same names.
    """
    return {name: _in_one_block(tensor) for name, tensor in tensors.items()}


def as_sharded(tensor: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """A tensor dealt out among the ranks like a reference; every process has to call this."""
    if isinstance(tensor, DTensor) and tensor.placements != reference.placements:
        return tensor.redistribute(placements=reference.placements)
    return tensor


def _in_one_block(tensor: torch.Tensor) -> torch.Tensor:
    if not isinstance(tensor, DTensor):
        return tensor
    placements = [Shard(p.dim) if isinstance(p, _StridedShard) else p for p in tensor.placements]
    if list(tensor.placements) != placements:
        return tensor.redistribute(placements=placements).clone()  # the copy waits for what was sent
    # torch's copy for writing in the background fails on a part of a larger memory that does not begin at its start,
    # as transformers leaves the norms.
    return tensor.clone() if tensor.storage_offset() else tensor
