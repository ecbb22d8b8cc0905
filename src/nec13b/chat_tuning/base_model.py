"""The model that is tuned: read from any checkpoint, made ready for its tokenizer, and found again by its adapter."""

from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..errors import InputError
from ..llama_conversion import load_as_nec13b
from ..tokenization import TokenizerHandle, load_tokenizer
from ..whole_files import whole_folder
from .adapters import four_bits
from .chatml import make_embeddings, stop_at_end_of_turn, use_chatml
from .tuning_settings import TuningSettings

BASE_NAME = "base"


def folder_and_file(model: str) -> tuple[str, str | None]:
    """Where a checkpoint lies: a folder or Hub name, and the file's name where it is a .gguf file."""
    path = Path(model)
    return (str(path.parent), path.name) if path.suffix == ".gguf" else (model, None)


def load_chat_tokenizer(config: TuningSettings) -> tuple[TokenizerHandle, list[str]]:
    """The tokenizer of a run, with the ChatML template, and the tokens that its vocabulary lacked.

    Raises:
        InputError: there is no model or no tokenizer.
    """
    if not config.model:
        raise InputError("--model, the checkpoint to tune, is missing; recipes/pretrain.py makes one")
    folder, file = folder_and_file(config.model)
    if config.tokenizer or not file:
        handle = load_tokenizer(config.tokenizer or folder)
    else:
        handle = load_tokenizer(folder, gguf_file=file)
    return handle, use_chatml(handle.tokenizer, config.add_chat_tokens)


def adapters_base(config: TuningSettings, tokenizer: PreTrainedTokenizerBase, added: list[str]) -> str:
    """The checkpoint that an adapter can name by folder and find its weights in as they were trained on.

    That of the settings, or `base` in the folder of the run, which the main process writes here.
    """
    _, file = folder_and_file(config.model)
    if config.adapter == "none" or not (file or added):
        return config.model
    folder = Path(config.output_dir) / BASE_NAME
    if config.process_index == 0 and not folder.is_dir():
        write_base(load_base(config, config.model, tokenizer, added, "sdpa"), tokenizer, folder)
    return str(folder)


def write_base(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Writes the model that an adapter belongs to; the folder appears only when it is whole."""
    with whole_folder(folder) as building:
        model.save_pretrained(building)
        tokenizer.save_pretrained(building)


def load_base(
    config: TuningSettings, path: str, tokenizer: PreTrainedTokenizerBase, added: list[str], attention: str,
    to_train: bool = False,
) -> PreTrainedModel:  # fmt: skip
    """The model to tune, ready for the tokenizer.

    Args:
        config: the settings.
        path: where it lies.
        tokenizer: with the ChatML template.
        added: tokens that its vocabulary lacked.
        attention: backend.
        to_train: frozen weights may be held in fewer bits; else all are fp32.

    Raises:
        InputError: its window is shorter than a row, or its vocabulary smaller than the tokenizer's.
    """
    folder, file = folder_and_file(path)
    quantised = four_bits(config) if to_train else None
    # Frozen weights need no master copy in fp32; trained ones do.
    frozen = config.adapter != "none" and config.bf16 and to_train
    options = {"gguf_file": file} if file else {}
    options |= {"quantization_config": quantised} if quantised else {}
    model = load_as_nec13b(
        folder, attn_implementation=attention, dtype=torch.bfloat16 if frozen else torch.float32, **options
    )
    if model.config.max_position_embeddings < config.max_length:
        raise InputError(
            f"max_length {config.max_length:,} is longer than the window of {config.model}, "
            f"{model.config.max_position_embeddings:,} tokens"
        )
    make_embeddings(model, tokenizer, added)
    if model.get_input_embeddings().weight.shape[0] < len(tokenizer):
        raise InputError(f"{config.model} has a smaller vocabulary than its tokenizer; use the one that belongs to it")
    stop_at_end_of_turn(model, tokenizer)
    return model


def load_tuned(
    config: TuningSettings, base: str, tokenizer: PreTrainedTokenizerBase, added: list[str]
) -> PreTrainedModel:
    """The tuned model from its folder, on one process, whatever the layout of the training was.

    Args:
        config: the settings.
        base: the checkpoint that was tuned, as `adapters_base` says.
        tokenizer: with the ChatML template.
        added: tokens that the vocabulary lacked.
    """
    from peft import PeftModel

    output, dtype = Path(config.output_dir), torch.bfloat16 if config.bf16 else torch.float32
    if (output / "model").is_dir():
        return load_as_nec13b(output / "model", dtype=dtype).to(config.device)
    model = load_base(config, base, tokenizer, added, "sdpa").to(dtype)
    return PeftModel.from_pretrained(model, output / "adapter").to(config.device)
