"""A chat model of random weights, saved as a folder: it says nonsense, always the same, and does not stop by itself."""

from pathlib import Path

import pytest
import torch

from nec13b import Nec13bConfig, Nec13bForCausalLM
from nec13b.chat.chat_model import ChatModel
from nec13b.tokenization.bpe import FIRST_TOKENS
from nec13b.tokenization.special_tokens import EOS, IM_END

WINDOW = 256


def random_model(tokenizer, ends_at_once: bool = False, **changes) -> Nec13bForCausalLM:
    """Its output layer gives special tokens and single bytes no weight, or, on request, nothing but an end weight."""
    torch.manual_seed(0)
    ids = tokenizer.tokenizer
    settings = {"max_position_embeddings": WINDOW, "hidden_size": 64, "num_hidden_layers": 2, **changes}
    config = Nec13bConfig(
        vocab_size=tokenizer.padded_vocab_size, intermediate_size=96, num_attention_heads=2, num_key_value_heads=1,
        pad_token_id=ids.pad_token_id, bos_token_id=ids.bos_token_id, eos_token_id=ids.eos_token_id, **settings,
    )  # fmt: skip
    model = Nec13bForCausalLM(config).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data *= 5
    head = model.lm_head.weight.data
    head[: len(FIRST_TOKENS)] = 0
    head[len(ids) :] = 0
    if ends_at_once:  # whatever the hidden state, one of the two is the likeliest
        head[ids.convert_tokens_to_ids(IM_END)] = 1000 * head[500]
        head[ids.convert_tokens_to_ids(EOS)] = -1000 * head[500]
    return model


@pytest.fixture
def chat_model(tokenizer) -> ChatModel:
    """The model, ready to chat."""
    return ChatModel(random_model(tokenizer), tokenizer.tokenizer, "tiny")


@pytest.fixture(scope="module")
def chat_folder(tokenizer, tmp_path_factory) -> Path:
    """The model as a folder, as recipes leave it."""
    folder = tmp_path_factory.mktemp("chat") / "model"
    random_model(tokenizer).save_pretrained(folder)
    tokenizer.tokenizer.save_pretrained(folder)
    return folder
