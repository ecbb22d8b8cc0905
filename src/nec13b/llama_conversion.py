"""Weights between nec13b and Llama, both ways: the tensors are the same, only the configuration changes its name."""

import os

import torch
from transformers import AutoConfig, LlamaConfig, LlamaForCausalLM

from .configuration_nec13b import Nec13bConfig
from .errors import InputError, one_line
from .modeling_nec13b import Nec13bForCausalLM
from .rope_interpolation import RopeInterpolation, inverse_frequencies_of

# What a saved configuration says about its class and its file rather than about the model.
NOT_ABOUT_THE_MODEL = {"model_type", "architectures", "auto_map", "transformers_version", "_name_or_path", "dtype"}


def nec13b_from_llama(model: LlamaForCausalLM) -> Nec13bForCausalLM:
    """The same weights (not copied) as an nec13b model; grouped-query attention and tied embeddings included."""
    return _with_weights_of(model, Nec13bForCausalLM, Nec13bConfig(**_settings(model.config)))


def llama_from_nec13b(model: Nec13bForCausalLM) -> LlamaForCausalLM:
    """The same weights (not copied) as a plain Llama model, which runs without this project's code.

    An interpolation of the rotary frequencies becomes `longrope` with equal short and long factors, which divides each
    frequency by the same number.

    Raises:
        InputError: the interpolation scales attention by the length, which Llama cannot.
    """
    settings = _settings(model.config)
    rope = longrope_parameters(model.config)
    if rope:
        settings["rope_parameters"] = rope
    return _with_weights_of(model, LlamaForCausalLM, LlamaConfig(**settings))


def longrope_parameters(config: Nec13bConfig) -> dict | None:
    """The `rope_parameters` of a plain Llama that turns its channels as this configuration does.

    Returns:
        Those of transformers' `longrope`; None where the frequencies are not interpolated by this project.

    Raises:
        InputError: the interpolation scales attention by the length, which Llama cannot.
    """
    interpolation = RopeInterpolation.of(config)
    if interpolation is None:
        return None
    if interpolation.log_length_attention:
        raise InputError("a plain Llama has no attention scaled by length (log_length_attention); keep it as nec13b")
    divisors = interpolation.divisors(inverse_frequencies_of(config)).tolist()
    scaling = interpolation.attention_scaling
    return {
        "rope_type": "longrope",
        "rope_theta": config.rope_parameters["rope_theta"],
        "short_factor": divisors,
        "long_factor": divisors,
        "factor": float(interpolation.factor),
        "attention_factor": scaling,
        # vLLM reads these two in place of attention_factor, and without them scales as Phi-3 does, by the windows
        # (phi3_long_rope_scaled_rope.py). transformers names them in a warning and passes them over.
        "short_mscale": scaling,
        "long_mscale": scaling,
        "original_max_position_embeddings": interpolation.original_max_position_embeddings
        or config.max_position_embeddings,
    }


def load_as_nec13b(path: str | os.PathLike, changes: dict | None = None, **kwargs) -> Nec13bForCausalLM:
    """Loads an nec13b or Llama checkpoint, from a local folder or by its name on the Hub, as an nec13b model.

    Args:
        path: folder or Hub name.
        changes: settings of the configuration in place of the checkpoint's (`rope_parameters`, ...).
        kwargs: passed on to `from_pretrained` (`dtype`, `gguf_file`, `attn_implementation`, ...).

    Raises:
        InputError: there is no such checkpoint, it is damaged, or of another architecture.
    """
    where = {"gguf_file": kwargs["gguf_file"]} if kwargs.get("gguf_file") else {}
    try:
        config = AutoConfig.from_pretrained(path, **where)
        if config.model_type not in ("nec13b", "llama"):
            raise InputError(f"{path} is a {config.model_type} model; only nec13b and Llama checkpoints can be used")
        if where:  # the tensors of a GGUF file are named by transformers' own class
            llama = LlamaForCausalLM.from_pretrained(path, **kwargs)
            settings = {**_settings(llama.config), **(changes or {})}
            settings.pop("quantization_config", None)  # of the file; the weights are plain tensors by now
            return _with_weights_of(llama, Nec13bForCausalLM, Nec13bConfig(**settings))
        if config.model_type == "llama" or changes:
            config = Nec13bConfig(**{**_settings(config), **(changes or {})})
        return Nec13bForCausalLM.from_pretrained(path, config=config, **kwargs)
    except InputError:
        raise
    except Exception as error:  # safetensors, json and the Hub client raise many kinds for a missing or damaged file
        raise InputError(f"cannot load a model from {path}: {one_line(error)}") from error


def _settings(config: LlamaConfig) -> dict:
    return {key: value for key, value in config.to_dict().items() if key not in NOT_ABOUT_THE_MODEL}


def _with_weights_of(source, model_class, config):
    with torch.device("meta"):
        model = model_class(config)
    model.load_state_dict(source.state_dict(), assign=True)
    model.tie_weights()
    # Rotary frequencies are computed, not stored; on the meta device they were not.
    model.model.rotary_emb = type(model.model.rotary_emb)(config).to(source.device)
    if source.generation_config is not None:
        model.generation_config = source.generation_config
    return model.train(source.training)
