"""Replies from a model on this machine: requests that come one by one are answered in batches.

Requests of the same sampling that wait at the same time go through the model together, in a thread of their own, so
that the checks and the journal go on meanwhile. What runs the model is a function: transformers' or vLLM's.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, set_seed

from ..chat_tuning.answers import answered_batch, window_of
from ..dialogues.dialogue import Message
from ..errors import InputError, one_line
from .generator import Completion, GenerationFailed, Sampling
from .generator_settings import GeneratorSettings

Reply = Completion | GenerationFailed
GenerateBatch = Callable[[list[list[Message]], Sampling, list[int | None]], list[Reply]]
SECONDS_TO_GATHER = 0.02  # requests that follow from the last batch come within this


class _Request(NamedTuple):
    messages: list[Message]
    sampling: Sampling
    seed: int | None
    future: asyncio.Future


class BatchGenerator:
    """Gathers requests into batches.

    Args:
        model: how the model is called.
        generate: gives a reply for each of a batch of dialogues, or what kept it from one; each may have a seed.
        batch_size: most dialogues of a batch.
    """

    def __init__(self, model: str, generate: GenerateBatch, batch_size: int):
        self.model, self._generate, self._batch_size = model, generate, batch_size
        self.retries: Counter[str] = Counter()
        self._waiting: list[_Request] = []
        self._running: asyncio.Task | None = None

    async def complete(self, messages: list[Message], sampling: Sampling, seed: int | None = None) -> Completion:
        """The reply to these messages.

        Args:
            messages: of the dialogue.
            sampling: how the reply is sampled.
            seed: the reply is the same whichever others are in its batch, but for rounding.

        Raises:
            GenerationFailed: the window has no room for one.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(messages, sampling, seed, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        reply = await future
        if isinstance(reply, GenerationFailed):
            raise reply
        return reply

    async def close(self) -> None:
        """Waits for the batch that is under way, and lets go of the model."""
        if self._running is not None:
            await self._running
        self._generate = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(SECONDS_TO_GATHER)
            sampling = self._waiting[0].sampling
            batch = [request for request in self._waiting if request.sampling == sampling][: self._batch_size]
            taken = {id(request) for request in batch}
            self._waiting = [request for request in self._waiting if id(request) not in taken]
            try:
                replies = await asyncio.to_thread(
                    self._generate,
                    [request.messages for request in batch],
                    sampling,
                    [request.seed for request in batch],
                )
            except Exception as error:  # those who wait have to hear of it, whatever it is
                for request in batch:
                    if not request.future.done():
                        request.future.set_exception(error)
                continue
            for request, reply in zip(batch, replies):
                if not request.future.done():
                    request.future.set_result(reply)


def transformers_generator(settings: GeneratorSettings, seed: int) -> BatchGenerator:
    """A generator that runs a checkpoint through transformers, on the GPU if there is one.

    Args:
        settings: which model, and how it is loaded.
        seed: of replies that are asked for without one of their own.

    Raises:
        InputError: there is no such checkpoint, or it has no chat template.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = settings.dtype if settings.dtype != "auto" else "float32" if device.type == "cpu" else "bfloat16"
    where: dict[str, Any] = {"trust_remote_code": settings.trust_remote_code}
    if settings.gguf_file:
        where["gguf_file"] = settings.gguf_file
    try:
        tokenizer = AutoTokenizer.from_pretrained(settings.model, **where)
        model = AutoModelForCausalLM.from_pretrained(settings.model, dtype=getattr(torch, dtype), **where)
    except Exception as error:  # a missing folder, a damaged file, an unknown architecture: each has its own kind
        raise InputError(
            f"cannot load the model {settings.model} ({one_line(error)}); "
            "recipes/chat_tune.py makes one, or name another"
        ) from None
    if not tokenizer.chat_template:
        raise InputError(
            f"{settings.model} has no chat template, so it is no chat model; recipes/chat_tune.py makes one"
        )
    set_seed(seed)
    model = model.eval().to(device)
    return BatchGenerator(
        settings.model,
        lambda batch, sampling, seeds: replies_of(model, tokenizer, batch, sampling, seeds),
        settings.batch_size,
    )


def replies_of(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch: list[list[Message]], sampling: Sampling,
    seeds: list[int | None] | None = None,
) -> list[Reply]:  # fmt: skip
    """A reply to each dialogue of a batch; `prompt_too_long` where the window has no room for one.

    Args:
        model, tokenizer: of a chat model.
        batch: dialogues that end with a message of the user.
        sampling: how; a reply is shorter than `max_new_tokens` where the window ends.
        seeds: one for each, or None.
    """
    found = answered_batch(
        model, tokenizer, batch, sampling.max_new_tokens, sampling.temperature, sampling.top_p, seeds
    )
    return [
        Completion(one.text, "stop" if one.ended else "length", one.prompt_tokens, one.tokens)
        if one.tokens
        else GenerationFailed(
            "prompt_too_long", f"{one.prompt_tokens:,} tokens; the model's window holds {window_of(model):,}"
        )
        for one in found
    ]


def vllm_generator(settings: GeneratorSettings, seed: int) -> BatchGenerator:
    """A generator that runs a checkpoint through vLLM in this process; its server, as an endpoint, is the other way.

    Raises:
        InputError: vLLM is not installed, or cannot load the checkpoint.
    """
    try:
        from vllm import LLM, SamplingParams
    except ImportError:
        raise InputError(
            "vLLM is not installed; pip install vllm, or start its server elsewhere and use --generator endpoint"
        ) from None
    try:
        engine = LLM(
            model=settings.model, dtype=settings.dtype, trust_remote_code=settings.trust_remote_code, seed=seed
        )
    except (ValueError, OSError) as error:
        raise InputError(f"vLLM cannot load {settings.model}: {one_line(error)}") from None

    def generate(batch: list[list[Message]], sampling: Sampling, seeds: list[int | None]) -> list[Reply]:
        params = [
            SamplingParams(
                max_tokens=sampling.max_new_tokens, temperature=sampling.temperature, top_p=sampling.top_p,
                skip_special_tokens=False, seed=seed,
            )
            for seed in seeds
        ]  # fmt: skip
        try:
            outputs = engine.chat(batch, params, use_tqdm=False)
        except ValueError as error:  # one prompt beyond the window refuses the whole batch
            if len(batch) == 1:
                return [GenerationFailed("bad_request", one_line(error))]
            return [reply for one in zip(batch, seeds) for reply in generate([one[0]], sampling, [one[1]])]
        return [
            Completion(
                output.outputs[0].text, output.outputs[0].finish_reason or "stop",
                len(output.prompt_token_ids or ()), len(output.outputs[0].token_ids),
            )
            for output in outputs
        ]  # fmt: skip

    return BatchGenerator(settings.model, generate, settings.batch_size)
