"""Log-probabilities of answers against a direct count, and what the numbers of a comparison say."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from nec13b.chat_tuning.answers import end_token_ids
from nec13b.model_comparison.pair_scores import PairScore, encoded_answer, pair_scores
from nec13b.preferences.preference import Preference


@pytest.fixture(scope="module")
def loaded(tiny_checkpoint):
    import nec13b  # noqa: F401  registers the model

    return (
        AutoModelForCausalLM.from_pretrained(tiny_checkpoint).eval(),
        AutoTokenizer.from_pretrained(tiny_checkpoint),
    )


def pair(prompt: str, chosen: str, rejected: str) -> Preference:
    return Preference(
        [{"role": "user", "content": prompt}],
        [{"role": "assistant", "content": chosen}],
        [{"role": "assistant", "content": rejected}],
    )


PAIRS = [
    pair("空はなぜ青いのですか。", "光が散らばるからです。", "知りません。"),
    pair("Say hello.", "Hello! How are you today? I hope that all is well.", "No."),
    pair("三つ挙げてください。", "一、二、三。", "一、二、三、四、五、六、七、八、九、十。"),
]


def by_hand(model, tokenizer, one: Preference, answer: str) -> tuple[float, int]:
    """Token by token, one answer at a time, from the text that the template renders."""
    before = tokenizer.apply_chat_template(one.prompt, add_generation_prompt=True, tokenize=False)
    whole = before + getattr(one, answer)[0]["content"] + "<|im_end|>"
    ids = tokenizer(whole, add_special_tokens=False, return_tensors="pt")["input_ids"]
    start = len(tokenizer(before, add_special_tokens=False)["input_ids"])
    with torch.no_grad():
        likely = model(input_ids=ids).logits[0].log_softmax(-1)
    total = sum(likely[place - 1, ids[0, place]].item() for place in range(start, ids.shape[1]))
    return total, ids.shape[1] - start


@pytest.mark.parametrize("batch_size", [1, 4])
def test_scores_are_those_of_a_direct_count_whatever_the_batch(loaded, batch_size):
    found = pair_scores(*loaded, PAIRS, 256, batch_size)
    for one, score in zip(PAIRS, found):
        for answer in ("chosen", "rejected"):
            total, tokens = by_hand(*loaded, one, answer)
            assert getattr(score, answer) == pytest.approx(total, abs=2e-3)
            assert getattr(score, f"{answer}_tokens") == tokens


def test_the_end_of_the_turn_counts_and_nothing_after_it(loaded):
    model, tokenizer = loaded
    ids, start = encoded_answer(tokenizer, PAIRS[0].prompt, PAIRS[0].chosen, end_token_ids(model, tokenizer))
    assert tokenizer.decode(ids[start:]) == "光が散らばるからです。<|im_end|>"


def test_a_pair_that_is_too_long_has_no_score_and_the_others_keep_theirs(loaded):
    long = pair("長い話をしてください。", "むかしむかし。" * 60, "はい。")
    found = pair_scores(*loaded, [PAIRS[0], long, PAIRS[2]], 128, 2)
    assert found[1] is None
    alone = pair_scores(*loaded, [PAIRS[0], PAIRS[2]], 128, 1)
    assert [s.margin for s in (found[0], found[2])] == pytest.approx([s.margin for s in alone], abs=2e-3)


def test_margins():
    score = PairScore(-10.0, -6.0, 10, 3)
    assert score.margin == -4
    assert score.margin_per_token == pytest.approx(1.0)
