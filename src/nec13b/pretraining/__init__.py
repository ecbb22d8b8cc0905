"""Tokens become a model here: packed shards, the data order, the Trainer, checkpoints and what a run leaves behind."""

from .config import PackTokensConfig, PretrainConfig, accumulation_steps
from .data_order import DataOrder, PermutedRange
from .packing import PackingPlan, packing_plan, packing_report
from .sequences import HeldOutSequences, PackedSequences, SequenceCollator
from .token_shards import TokenShards, write_token_shards

__all__ = [
    "DataOrder",
    "HeldOutSequences",
    "PackTokensConfig",
    "PackedSequences",
    "PackingPlan",
    "PermutedRange",
    "PretrainConfig",
    "SequenceCollator",
    "TokenShards",
    "accumulation_steps",
    "packing_plan",
    "packing_report",
    "write_token_shards",
]
