"""LoRA and QLoRA: what is trained beside the frozen weights, and the sum of both as one model."""

from pathlib import Path

import torch
from peft import LoraConfig, PeftModel
from transformers import BitsAndBytesConfig, PreTrainedModel

from ..whole_files import whole_folder
from .tuning_settings import TuningSettings


def lora_config(config: TuningSettings, added_tokens: list[int]) -> LoraConfig | None:
    """The adapter that the settings ask for; None where all weights are trained.

    Args:
        config: the settings.
        added_tokens: ids whose embeddings are new and so have to be trained.
    """
    if config.adapter == "none":
        return None
    modules = config.lora_modules
    return LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=modules if modules == "all-linear" else [name.strip() for name in modules.split(",")],
        # A new token is read through its embedding and written through its row of the head.
        trainable_token_indices={"embed_tokens": added_tokens} if added_tokens else None,
        modules_to_save=["lm_head"] if added_tokens else None,
        task_type="CAUSAL_LM",
    )


def four_bits(config: TuningSettings) -> BitsAndBytesConfig | None:
    """How the frozen weights of QLoRA are held (NF4 with double quantisation, Dettmers et al., arXiv:2305.14314)."""
    if config.adapter != "qlora":
        return None
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_quant_storage=torch.bfloat16,  # a type that FSDP can shard
    )


def write_merged(base: PreTrainedModel, adapter: Path, folder: Path, tokenizer) -> None:
    """Writes base plus adapter as one model; the folder appears only when it is whole.

    Args:
        base: the frozen model, not quantised; it is changed.
        adapter: folder of the adapter.
        folder: where the model goes.
        tokenizer: saved beside it.
    """
    generation = base.generation_config
    merged = PeftModel.from_pretrained(base, adapter).merge_and_unload()
    merged.generation_config, merged.config.use_cache = generation, True
    with whole_folder(folder) as building:
        merged.save_pretrained(building)
        tokenizer.save_pretrained(building)
