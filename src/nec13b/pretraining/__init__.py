"""Tokens become a model here: packed shards, the data order, the Trainer, checkpoints and what a run leaves behind."""

from .config import PackTokensConfig, PretrainConfig, accumulation_steps
from .data_order import DataOrder, HeldOutSequences, PackedSequences, PermutedRange
from .token_shards import TokenShards, write_token_shards

__all__ = [
    "DataOrder",
    "HeldOutSequences",
    "PackTokensConfig",
    "PackedSequences",
    "PermutedRange",
    "PretrainConfig",
    "TokenShards",
    "accumulation_steps",
    "write_token_shards",
]
