"""Passkeys and copies, scored by models that are known to find, to copy, or to guess."""

import math
from types import SimpleNamespace

import pytest
import torch

from nec13b.errors import InputError
from nec13b.long_context.probes import ASKED, DIGITS, copies, passkeys


class Oracle(torch.nn.Module):
    """Continues with whatever followed the last occurrence of the last `context` tokens; else a uniform guess."""

    def __init__(self, vocab_size: int, reach: int, context: int = 6):
        super().__init__()
        self.vocab_size, self.reach, self.context = vocab_size, reach, context
        self.device = torch.device("cpu")

    def model(self, ids, use_cache):
        rows = torch.zeros(*ids.shape, self.vocab_size)
        for row, tokens in zip(rows, ids.tolist()):
            seen = {}
            for i in range(len(tokens)):
                key = tuple(tokens[max(0, i + 1 - self.context) : i + 1])
                if key in seen and i - seen[key] <= self.reach:
                    row[i, tokens[seen[key] + 1]] = 30.0
                seen[key] = i
        return SimpleNamespace(last_hidden_state=rows)

    def lm_head(self, hidden):
        return hidden


def test_a_copy_is_free_within_reach_and_costs_a_guess_beyond(tokenizer):
    size = len(tokenizer.tokenizer)
    near, far = copies(Oracle(size, reach=150), tokenizer.tokenizer, [100, 200], trials=2)
    assert near.second < 0.5 < near.first
    assert far.second == pytest.approx(math.log(size), rel=0.1)
    assert (near.distance, far.distance) == (100, 200)


def test_passkeys_are_found_by_a_model_that_looks_back_far_enough(tokenizer):
    tokens = tokenizer.tokenizer("合言葉は", add_special_tokens=False)["input_ids"]
    size = len(tokenizer.tokenizer)
    scores = passkeys(Oracle(size, reach=10_000, context=len(tokens)), tokenizer.tokenizer, [300], trials=3)
    assert [score.depth for score in scores] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert all(score.found == 1.0 for score in scores)
    blind = passkeys(Oracle(size, reach=0), tokenizer.tokenizer, [300], trials=3)
    assert all(score.found == 0.0 for score in blind)
    digits = len(tokenizer.tokenizer("12345", add_special_tokens=False)["input_ids"])
    assert blind[0].loss == pytest.approx(digits * math.log(size), rel=0.5)
    assert digits <= DIGITS


def test_the_question_is_the_same_for_every_passkey(tokenizer):
    """Tokens of question and answer must not melt together."""
    question = tokenizer.tokenizer(ASKED, add_special_tokens=False)["input_ids"]
    whole = tokenizer.tokenizer(ASKED + "40213", add_special_tokens=False)["input_ids"]
    assert whole[: len(question)] == question


def test_a_text_without_room_is_refused(tokenizer):
    with pytest.raises(InputError, match="no room for a passkey"):
        passkeys(Oracle(1024, 0), tokenizer.tokenizer, [20], trials=1)
