"""Which implementation computes what: chosen by what the machine has, printed, and changed by one key each."""

import importlib.util

from transformers import PreTrainedModel

from ..errors import InputError
from .chunked_loss import use_chunked_loss
from .config import PretrainConfig


def choose_attention(config: PretrainConfig) -> str:
    """The attention backend that `attn_implementation: auto` stands for on this machine.

    Raises:
        InputError: a backend that cannot train here: context parallelism, which torch has for sdpa only, with another
            one; flex_attention on a CPU; flash attention without its package, a GPU, or in fp32.
    """
    if config.layout.context > 1:
        if config.attn_implementation not in ("auto", "sdpa"):
            raise InputError(
                f"attn_implementation {config.attn_implementation} cannot share a sequence among context parallel "
                "ranks; use sdpa, or an accelerate config without cp_size"
            )
        return "sdpa"
    chosen, missing = config.attn_implementation, _flash_attention_lacks(config)
    if chosen == "auto":
        return "sdpa" if missing else "flash_attention_2"
    if chosen == "flash_attention_2" and missing:
        raise InputError(f"attn_implementation flash_attention_2 needs {missing}; auto takes it where it can be had")
    if chosen == "flex_attention" and config.device.type == "cpu":
        raise InputError("attn_implementation flex_attention has no backward pass on a CPU; use sdpa or eager")
    return chosen


def _flash_attention_lacks(config: PretrainConfig) -> str:
    """What keeps flash attention from running here; empty where nothing does."""
    if config.device.type != "cuda":
        return "a GPU"
    if not (config.bf16 or config.fp16):
        return "bf16"
    return "" if _installed("flash_attn") else "the package flash-attn (gpu extra)"


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
    missing = _flash_attention_lacks(config)
    return f" (flash attention needs {missing})" if missing else " (as context parallelism needs)"


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
