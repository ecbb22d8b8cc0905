"""Which implementation computes what: chosen by what the machine has, printed, and changed by one key each."""

import importlib.util
import resource
import sys

import psutil
import torch
from transformers import PreTrainedModel

from ..errors import InputError
from .chunked_loss import use_chunked_loss
from .config import PretrainConfig


def choose_attention(config: PretrainConfig) -> str:
    """The attention backend that `attn_implementation: auto` stands for on this machine.

    Raises:
        InputError: context parallelism, which torch has for sdpa only, with another backend.
    """
    if config.layout.context > 1:
        if config.attn_implementation not in ("auto", "sdpa"):
            raise InputError(
                f"attn_implementation {config.attn_implementation} cannot share a sequence among context parallel "
                "ranks; use sdpa, or an accelerate config without cp_size"
            )
        return "sdpa"
    if config.attn_implementation != "auto":
        return config.attn_implementation
    half = config.bf16 or config.fp16
    on_gpu = config.device.type == "cuda"
    return "flash_attention_2" if on_gpu and half and _installed("flash_attn") else "sdpa"


def apply_kernels(model: PreTrainedModel, config: PretrainConfig, why_whole_logits: str | None = None) -> list[str]:
    """Makes a model compute with the kernels that the settings ask for.

    Args:
        model: on its way to the Trainer, not yet sharded.
        config: the settings.
        why_whole_logits: why the layout needs the whole logits, where it does.

    Returns:
        One line for each choice.

    Raises:
        InputError: a kernel was demanded that this machine cannot run.
    """
    lines = [f"attention: {model.config._attn_implementation}{_why_sdpa(config, model)}"]
    lines.append(_use_liger(model, config))
    if why_whole_logits or config.loss_chunk_tokens == 0 or config.label_smoothing_factor:
        reason = why_whole_logits or ("label smoothing needs them" if config.label_smoothing_factor else "as asked for")
        lines.append(f"loss: over the whole logits ({reason})")
    else:
        chunk = config.loss_chunk_tokens if config.loss_chunk_tokens > 0 else None
        use_chunked_loss(model, chunk)
        size = f"{chunk} tokens" if chunk else "256 tokens" if config.device.type == "cpu" else "torch's choice"
        lines.append(f"loss: in chunks ({size}), the whole logits are never held")
    if config.compile_layers:
        for layer in model.model.layers:
            layer.compile()
        lines.append("layers: compiled (the first steps take longer)")
    lines.append(f"optimizer: {getattr(config.optim, 'value', config.optim)}")
    return lines


def _why_sdpa(config: PretrainConfig, model: PreTrainedModel) -> str:
    if config.attn_implementation != "auto" or model.config._attn_implementation != "sdpa":
        return ""
    if config.device.type != "cuda":
        return " (flash attention needs a GPU)"
    if not (config.bf16 or config.fp16):
        return " (flash attention needs bf16)"
    return " (flash-attn is not installed: pip install nec13b[gpu])"


def _use_liger(model: PreTrainedModel, config: PretrainConfig) -> str:
    missing = (
        "a GPU" if config.device.type != "cuda" else "" if _installed("liger_kernel") else "liger-kernel (gpu extra)"
    )
    if config.fused_kernels == "torch" or (config.fused_kernels == "auto" and missing):
        return f"norms, rotary embedding, SwiGLU: torch ({f'Liger needs {missing}' if missing else 'as asked for'})"
    if missing:
        raise InputError(f"fused_kernels: liger needs {missing}; auto takes it where it is there")
    from liger_kernel.transformers import apply_liger_kernel_to_llama

    # The loss is torch's, above; Liger's own would replace the same forward.
    apply_liger_kernel_to_llama(
        rope=True, rms_norm=True, swiglu=True, cross_entropy=False, fused_linear_cross_entropy=False, model=model
    )
    return "norms, rotary embedding, SwiGLU: Liger"


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def memory_bytes(device: torch.device) -> int:
    """The memory that this process holds: of the GPU where it trains on one, else resident on the host."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss


def peak_memory_bytes(device: torch.device) -> int:
    """The most of it that this process has held."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
