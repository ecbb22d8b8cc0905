"""The model that is exported: a checkpoint, or an adapter summed with the model it belongs to."""

from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel
from transformers import PreTrainedTokenizerBase

from ..chat_tuning.base_model import folder_and_file
from ..errors import InputError
from ..llama_conversion import load_as_nec13b
from ..modeling_nec13b import Nec13bForCausalLM
from ..tokenization import load_tokenizer

ADAPTER_FILE = "adapter_config.json"


@dataclass(frozen=True)
class SourceModel:
    """What leaves the house.

    Attributes:
        model: whole, in the precision of the export.
        tokenizer: with its chat template, where it has one.
        name: as it was asked for.
        records_from: the folder whose run records tell how the model was made.
    """

    model: Nec13bForCausalLM
    tokenizer: PreTrainedTokenizerBase
    name: str
    records_from: Path


def load_source(name: str, dtype: str = "auto") -> SourceModel:
    """Loads a checkpoint or an adapter with its base.

    Args:
        name: folder or Hub name, or a .gguf file.
        dtype: precision, or `auto` for that of the checkpoint.

    Raises:
        InputError: there is no such model, or an adapter's base is missing.
    """
    folder, file = folder_and_file(name)
    precision = getattr(torch, dtype) if dtype != "auto" else "auto"
    if (Path(name) / ADAPTER_FILE).is_file():
        base = PeftConfig.from_pretrained(name).base_model_name_or_path
        if not base:
            raise InputError(f"{name}/{ADAPTER_FILE} does not say which model the adapter belongs to")
        # The sum is taken in fp32 where it may be: small updates are lost in a sum of 16 bits.
        whole = load_as_nec13b(base, dtype=torch.float32)
        generation = whole.generation_config
        model = PeftModel.from_pretrained(whole, name).merge_and_unload()
        model.generation_config = generation
        if dtype != "auto":
            model = model.to(precision)
    else:
        model = load_as_nec13b(folder, dtype=precision, **({"gguf_file": file} if file else {}))
    handle = load_tokenizer(folder, **({"gguf_file": file} if file else {}))
    model.config.use_cache = True
    return SourceModel(model.eval(), handle.tokenizer, name, Path(folder))
