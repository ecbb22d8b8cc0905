"""A model as a GGUF file for llama.cpp, with its tokenizer and its interpolated frequencies.

llama.cpp's own converter reads a Llama's `longrope` but leaves its factors out (convert_hf_to_gguf.py of October 2026),
and it does not know our way of cutting text. So the file is written here, with llama.cpp's own `gguf` package. The
divisors of the frequencies become the tensor `rope_freqs`, which llama.cpp applies whatever the length of a text, and
the attention temperature its `attn_factor`.

The tokenizer becomes llama.cpp's SentencePiece kind: it joins the neighbours that make the token of the best score, and
ours joins those of the lowest rank, so a score is a rank with a minus sign. What that kind cannot do is cut a text
before it joins. Japanese comes out alike; runs of spaces and marks, as code has them, may be cut otherwise, which costs
a little quality where text is sent, and nothing where token ids are.
"""

import os
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from ..errors import InputError
from ..llama_conversion import longrope_parameters
from ..modeling_nec13b import Nec13bForCausalLM

SPACE = "\u2581"  # what stands for a space in SentencePiece's tokens


def write_gguf(model: Nec13bForCausalLM, tokenizer: PreTrainedTokenizerBase, path: str | os.PathLike) -> Path:
    """Writes the file, in the precision of the weights (fp32, fp16 or bf16).

    Args:
        model: with plain or interpolated frequencies.
        tokenizer: one that this project has trained.
        path: of the file; it appears when it is whole.

    Raises:
        InputError: the package gguf is missing, the interpolation or the tokenizer has no form in llama.cpp.
    """
    try:
        import gguf
    except ImportError:
        raise InputError("writing a GGUF file needs the package gguf: pip install gguf") from None
    config, path = model.config, Path(path)
    rope = longrope_parameters(config)
    building = path.with_name(f".{path.name}.tmp")
    writer = gguf.GGUFWriter(building, "llama")
    writer.add_name(path.stem)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if rope and rope["attention_factor"] != 1:
        writer.add_rope_scaling_attn_factors(rope["attention_factor"])
    _add_tokenizer(writer, tokenizer, config.vocab_size, gguf.TokenType)

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    kinds = {torch.float32: gguf.LlamaFileType.ALL_F32, torch.float16: gguf.LlamaFileType.MOSTLY_F16,
             torch.bfloat16: gguf.LlamaFileType.MOSTLY_BF16}  # fmt: skip
    writer.add_file_type(kinds[model.dtype])
    for name, tensor in model.state_dict().items():
        if config.tie_word_embeddings and name == "lm_head.weight":
            continue  # llama.cpp takes the embedding where there is no head
        projection = name.split(".")[-2]
        if projection in heads:
            tensor = _interleaved(tensor, heads[projection])
        _add_tensor(writer, names.get_name(name, try_suffixes=(".weight", ".bias")), tensor, gguf.GGMLQuantizationType)
    if rope:
        _add_tensor(writer, "rope_freqs.weight", torch.tensor(rope["long_factor"]), gguf.GGMLQuantizationType)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(building, path)
    return path


def _interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows in the order of llama.cpp, which turns channels 2i and 2i + 1 together, where Llama turns i and i + half."""
    rows = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, rows, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def _add_tensor(writer, name: str, tensor: torch.Tensor, types) -> None:
    tensor = tensor.detach().cpu().contiguous()
    if tensor.ndim == 1:  # norms and frequencies are read in fp32
        tensor = tensor.float()
    if tensor.dtype == torch.bfloat16:
        writer.add_tensor(name, tensor.view(torch.uint8).numpy(), raw_dtype=types.BF16)
    else:
        writer.add_tensor(name, tensor.numpy())


def _add_tokenizer(writer, tokenizer: PreTrainedTokenizerBase, vocab_size: int, types) -> None:
    """The vocabulary with its scores; ids that the tokenizer does not use are marked so."""
    model = getattr(tokenizer, "backend_tokenizer", None)
    if model is None or not getattr(model.model, "byte_fallback", False):
        raise InputError(
            "only a tokenizer of this project can be written into a GGUF file: BPE that falls back on bytes"
        )
    tokens = {number: token for token, number in tokenizer.get_vocab().items()}
    special = set(tokenizer.all_special_ids)
    texts, scores, kinds = [], [], []
    for number in range(vocab_size):
        token = tokens.get(number)
        if token is None:
            texts.append(f"<unused{number}>")
            kinds.append(types.UNUSED)
        elif number in special:
            texts.append(token)
            kinds.append(types.CONTROL)
        else:
            texts.append(token.replace(" ", SPACE))
            is_byte = len(token) == 6 and token.startswith("<0x") and token.endswith(">")
            kinds.append(types.BYTE if is_byte else types.NORMAL)
        scores.append(-float(number))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(texts)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)
