"""The divergence of a policy from its reference, against what is known of it."""

import copy

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from nec13b.model_comparison.sampled_divergence import divergence, sampled_answers

PROMPTS = [
    [{"role": "user", "content": text}] for text in ("こんにちは。", "Say something about the sea, please.", "はい")
]


@pytest.fixture(scope="module")
def models(tiny_checkpoint):
    """A model, one that differs from it in its head, and their tokenizer."""
    import nec13b  # noqa: F401  registers the model

    reference = AutoModelForCausalLM.from_pretrained(tiny_checkpoint).eval()
    policy = copy.deepcopy(reference)
    torch.manual_seed(1)
    policy.lm_head.weight = torch.nn.Parameter(policy.lm_head.weight + 2 * torch.randn(policy.lm_head.weight.shape))
    return policy, reference, AutoTokenizer.from_pretrained(tiny_checkpoint)


def test_a_model_has_not_moved_from_itself(models):
    _, reference, tokenizer = models
    found = sampled_answers(reference, reference, tokenizer, PROMPTS, 12, seed=0)
    assert [answer.divergence for answer in found] == pytest.approx([0, 0, 0], abs=1e-5)
    assert all(0 < answer.tokens <= 12 for answer in found)


def test_its_mean_is_that_of_the_ratio_of_probabilities(models):
    """The plain estimate, the log of the ratio for tokens that were drawn, has the same mean and more chance in it."""
    policy, reference, tokenizer = models
    prompt = tokenizer.apply_chat_template(PROMPTS[0], add_generation_prompt=True, return_dict=False)
    with torch.no_grad():
        ours, theirs = (m(input_ids=torch.tensor([prompt])).logits[0, -1].log_softmax(-1) for m in (policy, reference))
    drawn = torch.multinomial(ours.exp(), 20_000, replacement=True, generator=torch.Generator().manual_seed(0))
    ratios = (ours - theirs)[drawn]
    exact = divergence(policy, reference, prompt, [5])  # of one token: which one it is does not matter
    assert exact > 0.1
    assert exact == pytest.approx(ratios.mean().item(), abs=4 * ratios.std().item() / 20_000**0.5)
    assert divergence(policy, reference, prompt, [5]) == divergence(policy, reference, prompt, [9])


def test_answers_do_not_depend_on_the_generators_around_them_nor_move_them(models):
    torch.manual_seed(3)
    before = torch.rand(1)
    one = sampled_answers(*models, PROMPTS, 8, seed=4)
    torch.manual_seed(3)
    assert torch.rand(1) == before
    other = sampled_answers(*models, PROMPTS, 8, seed=4)
    assert [answer.text for answer in one] == [answer.text for answer in other]
    assert [a.text for a in sampled_answers(*models, PROMPTS, 8, seed=5)] != [a.text for a in one]
