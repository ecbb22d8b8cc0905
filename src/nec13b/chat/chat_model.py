"""A checkpoint that can chat: loaded from any of its forms, with its template, its end tokens and its window.

It takes an nec13b model or any chat model that transformers loads, a folder or a Hub name, a LoRA adapter (with its
base model), or a GGUF file. Weights are read from safetensors or GGUF, never from a pickle.
"""

import importlib.util
import os
import threading
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import cached_file
from transformers.utils.peft_utils import find_adapter_config_file

from ..chat_tuning.answers import end_token_ids
from ..dialogues.dialogue import Message
from ..errors import InputError, one_line
from ..run_record import read_json
from ..tokenization.chat_template import CHATML_TEMPLATE
from ..tokenization.special_tokens import IM_END, IM_START
from .settings import DEFAULT_NEW_TOKENS, ChatSettings, Sampling

MADE_BY = "recipes/chat_tune.py"
# What ends an answer, beside what tokenizer and generation settings name: models are saved with incomplete lists.


class ChatModel:
    """A model and its tokenizer, ready to answer.

    Args:
        model: any causal language model.
        tokenizer: a fast one, with a chat template.
        name: what people are told it is.
        window: most tokens of a dialogue with its answer; None takes the model's.

    Attributes:
        end_ids: the tokens at which an answer ends.
        turn: held by the answer that is being written; a model writes one at a time.

    Raises:
        InputError: there is no chat template, or no known window.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, name: str = "", window: int | None = None
    ):
        self.model, self.tokenizer = model.eval(), tokenizer
        self.name = name or str(model.config.name_or_path) or type(model).__name__
        if not tokenizer.is_fast:
            raise InputError(f"the tokenizer of {self.name} is not a fast one (it has no tokenizer.json)")
        if not tokenizer.chat_template:
            chatml = "; --chatml takes this project's" if _knows_chatml(tokenizer) else ""
            raise InputError(
                f"{self.name} has no chat template, as base models have none; {MADE_BY} makes one a chat model{chatml}"
            )
        self.window = _window(model, tokenizer, window, self.name)
        self.end_ids = sorted(end_token_ids(model, tokenizer))
        if not self.end_ids:
            raise InputError(f"{self.name} names no token at which an answer ends (eos_token)")
        self.turn = threading.Lock()
        self._cache, self._cached = None, []

    @property
    def short_name(self) -> str:
        """The name without the way there: `SmolLM2-135M-Instruct`, `chat/model`."""
        parts = self.name.rstrip("/").split("/")
        return "/".join(parts[-2:] if parts[-1] in ("model", "adapter", "merged") else parts[-1:])

    def prompt_ids(self, messages: list[Message]) -> list[int]:
        """The ids of a dialogue up to where the answer begins; what a message spells out becomes no special token.

        Raises:
            InputError: the template refuses the dialogue, as some refuse a system message.
        """
        # Our template sees to special tokens by itself, and in the same way as in training.
        ours = self.tokenizer.chat_template == CHATML_TEMPLATE
        try:
            return self.tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_dict=False, sanitize_control_tokens=not ours
            )
        except Exception as error:  # a template is a program, and raises what it likes
            raise InputError(f"the chat template of {self.name} refuses the dialogue: {one_line(error)}") from error

    def new_tokens(self, sampling: Sampling) -> int:
        """Most tokens of an answer.

        Raises:
            InputError: the setting leaves no room for a dialogue.
        """
        if sampling.max_new_tokens is None:
            return min(DEFAULT_NEW_TOKENS, self.window // 2)
        if sampling.max_new_tokens >= self.window:
            raise InputError(
                f"max_new_tokens {sampling.max_new_tokens:,} leaves nothing of the window of {self.window:,} tokens"
            )
        return sampling.max_new_tokens

    def cache_for(self, prompt: list[int]) -> DynamicCache:
        """Keys and values of the beginning that a prompt shares with the last one; its caller holds `turn`.

        A dialogue grows at its end, so a further turn reads only what is new. What is returned grows by what is
        written; `keep` says which tokens those were.
        """
        shared = 0
        for known, wanted in zip(self._cached, prompt[:-1]):  # the last token is read in any case, for its logits
            if known != wanted:
                break
            shared += 1
        cache, self._cache = self._cache, None
        if not cache or not shared:
            return DynamicCache(config=self.model.config)
        try:
            cache.crop(shared - cache.get_seq_length())
        except (RuntimeError, ValueError):  # sliding windows forget
            return DynamicCache(config=self.model.config)
        return cache

    def keep(self, cache: DynamicCache, ids: list[int]) -> None:
        """Remembers a cache and the ids it was made from."""
        self._cache, self._cached = cache, ids[: cache.get_seq_length()]


def load_chat_model(settings: ChatSettings) -> ChatModel:
    """Loads what `settings.checkpoint` names.

    Raises:
        InputError: there is no such checkpoint, it is damaged, no chat model, or needs a package or a flag.
    """
    checkpoint, gguf = settings.checkpoint, settings.gguf_file
    if checkpoint.endswith(".gguf") and not gguf:
        checkpoint, gguf = os.path.split(checkpoint)
        checkpoint = checkpoint or "."
    if gguf and importlib.util.find_spec("gguf") is None:
        raise InputError("a GGUF file needs the package gguf: pip install 'nec13b[gguf]'")
    is_path = checkpoint.startswith((".", "/", "runs/")) or checkpoint.count("/") > 1  # else it may be a Hub name
    if is_path and not Path(checkpoint, gguf or "").exists():
        raise InputError(f"{Path(checkpoint, gguf or '')} does not exist; {MADE_BY} makes a chat model")
    try:
        base = None if gguf else _base_of_adapter(checkpoint)
        options = {"trust_remote_code": settings.trust_remote_code, **({"gguf_file": gguf} if gguf else {})}
        tokenizer = _tokenizer(checkpoint, base, options)
        dtype, attention = _precision(settings.dtype), settings.attn_implementation
        if not gguf:
            options["use_safetensors"] = True
        model = AutoModelForCausalLM.from_pretrained(
            checkpoint, dtype=dtype, attn_implementation=_attention(attention, dtype), **options
        )
    except InputError:
        raise
    except Exception as error:  # safetensors, json and the Hub client raise many kinds for a missing or damaged file
        flag = "; --trust_remote_code runs its code" if "trust_remote_code" in str(error) else ""
        raise InputError(f"cannot load a chat model from {settings.checkpoint}: {one_line(error)}{flag}") from error
    if settings.chatml:
        if not _knows_chatml(tokenizer):
            raise InputError(f"--chatml needs {IM_START} and {IM_END}, which the vocabulary of {checkpoint} lacks")
        tokenizer.chat_template = CHATML_TEMPLATE
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    return ChatModel(model, tokenizer, settings.checkpoint, settings.window)


def _base_of_adapter(checkpoint: str) -> str | None:
    """The base model that an adapter names; None where the checkpoint is no adapter."""
    path = find_adapter_config_file(checkpoint)
    if path is None:
        return None
    base = read_json(Path(path), MADE_BY).get("base_model_name_or_path")
    if not base:
        raise InputError(f"{path} names no base_model_name_or_path")
    cached_file(checkpoint, "adapter_model.safetensors")  # or else it raises: transformers would take a pickle
    return base


def _tokenizer(checkpoint: str, base: str | None, options: dict):
    """The checkpoint's tokenizer; an adapter that brings none has its base model's."""
    try:
        return AutoTokenizer.from_pretrained(checkpoint, **options)
    except (OSError, ValueError):
        if base is None:
            raise
        return AutoTokenizer.from_pretrained(base, **options)


def _precision(dtype: str) -> torch.dtype:
    if dtype != "auto":
        return getattr(torch, dtype)
    return torch.bfloat16 if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else torch.float32


def _attention(chosen: str, dtype: torch.dtype) -> str:
    lacks = ""
    if not torch.cuda.is_available():
        lacks = "a GPU"
    elif dtype == torch.float32:
        lacks = "bfloat16 or float16"
    elif importlib.util.find_spec("flash_attn") is None:
        lacks = "the package flash-attn (gpu extra)"
    if chosen == "auto":
        return "sdpa" if lacks else "flash_attention_2"
    if chosen == "flash_attention_2" and lacks:
        raise InputError(f"attn_implementation flash_attention_2 needs {lacks}; auto takes it where it can be had")
    return chosen


def _knows_chatml(tokenizer) -> bool:
    return {IM_START, IM_END} <= tokenizer.get_vocab().keys()


def _window(model: PreTrainedModel, tokenizer, wanted: int | None, name: str) -> int:
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if longest is None and tokenizer.model_max_length < 10**9:  # transformers' sign for "unknown" is far above
        longest = tokenizer.model_max_length
    if wanted and longest and wanted > longest:
        raise InputError(f"--window {wanted:,} is more than the {longest:,} tokens of {name}")
    if not (wanted or longest):
        raise InputError(f"{name} does not say how many tokens it can read; say it with --window")
    return wanted or longest
