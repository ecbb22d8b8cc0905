"""A model in lm-eval that reads a prompt once for all its choices.

lm-eval reads the prompt again for every choice that is longer than a token: five times in JCommonsenseQA, where the
prompt with its three examples is nearly all there is to read. Here the keys and values of the prompt are kept and the
choices are read behind them, as one batch. The likelihoods are those of lm-eval but for rounding.
"""

import inspect
from collections import defaultdict

import torch
from lm_eval.models.huggingface import HFLM
from torch.nn import functional
from tqdm import tqdm
from transformers import DynamicCache

Request = tuple[tuple[str, str], list[int], list[int]]


class SharedPromptLM(HFLM):
    """lm-eval's `hf` model, with a prompt read once."""

    def _loglikelihood_tokens(
        self, requests: list[Request], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        """The log likelihood of each continuation (in nats), and whether it is what greedy decoding would write.

        Args:
            requests: (texts, token ids of the prompt, token ids of the continuation) of each.
        """
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, (_, prompt, _) in enumerate(requests):
            groups[tuple(prompt)].append(place)
        found: list[tuple[float, bool] | None] = [None] * len(requests)
        alone: list[int] = []
        shown = tqdm(groups.items(), "prompts", disable=disable_tqdm or self.rank != 0)
        for prompt, places in shown:
            continuations = [requests[place][2] for place in places]
            fits = len(prompt) + max(map(len, continuations)) <= self.max_length + 1
            if len(places) == 1 or not fits or self.backend != "causal":
                alone += places  # lm-eval knows how to cut what does not fit
            else:
                for place, value in zip(places, self._likelihoods(list(prompt), continuations)):
                    found[place] = value
        rest = super()._loglikelihood_tokens([requests[place] for place in alone], True, override_bs) if alone else []
        for place, value in zip(alone, rest):
            found[place] = value
        return found

    @torch.inference_mode()
    def _likelihoods(self, prompt: list[int], continuations: list[list[int]]) -> list[tuple[float, bool]]:
        # The prompt's last token is read with each continuation, whose first token it foretells.
        cache = DynamicCache(config=self.model.config)
        only_last = "logits_to_keep" in inspect.signature(self.model.forward).parameters
        if prompt[:-1]:
            ids = torch.tensor([prompt[:-1]], device=self.device)
            self.model(ids, past_key_values=cache, use_cache=True, **({"logits_to_keep": 1} if only_last else {}))
            cache.batch_repeat_interleave(len(continuations))
        longest = max(map(len, continuations))
        targets = torch.tensor([ids + [0] * (longest - len(ids)) for ids in continuations], device=self.device)
        first = torch.full((len(continuations), 1), prompt[-1], device=self.device)
        # Padding stands on the right, where no token sees it.
        logits = self.model(torch.cat([first, targets[:, :-1]], 1), past_key_values=cache, use_cache=True).logits
        logs = functional.log_softmax(logits, -1, dtype=self.softmax_dtype or torch.float32)
        values = logs.gather(2, targets[..., None])[..., 0]
        greedy = logits.argmax(-1) == targets
        return [
            (float(row[: len(ids)].sum()), bool(right[: len(ids)].all()))
            for ids, row, right in zip(continuations, values, greedy)
        ]


class JpStableTokensLM(SharedPromptLM):
    """The same with the tokens of jp-stable: no begin token, and prompt and choice encoded each by itself.

    LLaMA's tokenizer then puts a space before a choice, and a newline at the end of a prompt belongs to the prompt
    (Stability-AI/lm-evaluation-harness, branch jp-stable, `BaseLM.loglikelihood` in lm_eval/base.py and
    `add_special_tokens` in models/huggingface.py).
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "add_bos_token": False})

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        return self.tok_encode(context, False), self.tok_encode(continuation, False)
