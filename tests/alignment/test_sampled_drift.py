"""The KL by own answers against the KL itself, summed over the whole vocabulary at the same places."""

import pytest
import torch
from transformers import AutoTokenizer

from nec13b import Nec13bForCausalLM
from nec13b.alignment.sampled_drift import sampled_drift
from nec13b.chat_tuning.answers import answers

PROMPTS = [[{"role": "user", "content": f"{number}番はどうですか。"}] for number in range(48)]


def log_probs_of(model):
    def log_probs(ids, mask, labels):
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].log_softmax(-1)
        wanted = labels[:, 1:]
        picked = logits.gather(-1, wanted.clamp(min=0)[..., None])[..., 0]
        return picked.masked_fill(wanted < 0, 0.0)

    return log_probs


@pytest.fixture
def models(tiny_checkpoint):
    """A model, and one that says other things."""
    model, other = (Nec13bForCausalLM.from_pretrained(tiny_checkpoint).eval() for _ in range(2))
    torch.manual_seed(1)
    with torch.no_grad():
        other.lm_head.weight += 0.1 * torch.randn_like(other.lm_head.weight)
    return model, other


def test_the_estimate_is_near_the_kl_at_the_same_places(models, tiny_checkpoint):
    model, other = models
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    found = sampled_drift(model, tokenizer, PROMPTS, log_probs_of(model), log_probs_of(other), 12, seed=3)
    said = answers(model, tokenizer, PROMPTS, 12, 3, temperature=1.0, top_p=1.0, batch_size=8)
    assert found["length"] == pytest.approx(sum(answer.tokens for answer in said) / len(said))
    total = count = 0
    for prompt, answer in zip(PROMPTS, said):
        asked = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"]
        ids = torch.tensor([[*asked, *answer.token_ids]])
        with torch.no_grad():
            p, q = (m(ids).logits[0, len(asked) - 1 : -1].log_softmax(-1) for m in (model, other))
        total, count = total + (p.exp() * (p - q)).sum().item(), count + len(answer.token_ids)
    exact = total / count
    assert exact > 0.01
    assert abs(found["kl"] - exact) < 4 * found["kl_error"]
    assert found["kl_error"] < exact / 2


def test_from_itself_a_model_has_not_drifted(models, tiny_checkpoint):
    model, _ = models
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    found = sampled_drift(model, tokenizer, PROMPTS[:4], log_probs_of(model), log_probs_of(model), 6, seed=0)
    assert found["kl"] == pytest.approx(0, abs=1e-6)
    assert set(sampled_drift(model, tokenizer, PROMPTS[:2], log_probs_of(model), None, 6, 0)) == {"length", "ended"}
