"""A prompt that is read once gives lm-eval's likelihoods."""

import random

import pytest
import torch
from lm_eval.models.huggingface import HFLM
from transformers import LlamaConfig, LlamaForCausalLM

from nec13b.jglue.shared_prompt import JpStableTokensLM, SharedPromptLM


@pytest.fixture(scope="module")
def both(tiny_checkpoint):
    """The same model with its prompts read once, and as lm-eval has it."""
    shared = SharedPromptLM(str(tiny_checkpoint), device="cpu", dtype="float32", batch_size=3)
    return shared, HFLM(pretrained=shared.model, tokenizer=shared.tokenizer, batch_size=3)


def requests(lengths, seed=0):
    generator = random.Random(seed)

    def ids(n):
        return [generator.randrange(5, 1000) for _ in range(n)]

    found = []
    for prompt, continuations in lengths:
        text = ids(prompt)
        found += [(("", ""), text, ids(n)) for n in continuations]
    generator.shuffle(found)
    return found


@pytest.mark.parametrize(
    "lengths",
    [
        [(100, [1, 2, 3, 4, 5]), (40, [3, 3, 3, 3, 3])],
        [(1, [2, 1]), (2, [4, 1])],  # nothing to keep but the last token
        [(50, [7]), (60, [1])],  # one continuation alone
        [(252, [5, 2]), (253, [5, 2]), (300, [1, 2, 3])],  # at the end of the window of 256, and beyond it
    ],
)
def test_likelihoods_are_those_of_lm_eval(both, lengths):
    shared, plain = both
    asked = requests(lengths)
    ours, theirs = shared._loglikelihood_tokens(asked, True), plain._loglikelihood_tokens(asked, True)
    assert [value for value, _ in ours] == pytest.approx([value for value, _ in theirs], abs=1e-3)
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]


def test_the_prompt_is_read_once(both, monkeypatch):
    shared, _ = both
    read = []
    forward = shared.model.forward
    monkeypatch.setattr(shared.model, "forward", lambda ids, **more: read.append(ids.numel()) or forward(ids, **more))
    shared._loglikelihood_tokens(requests([(200, [2, 2, 2, 2, 2])]), True)
    assert read == [199, 10]


def test_greedy_is_said_where_it_is_so(both):
    shared, _ = both
    prompt = [7, 8, 9]
    with torch.inference_mode():
        likeliest = int(shared.model(torch.tensor([prompt])).logits[0, -1].argmax())
    other = (likeliest + 1) % 1000
    found = shared._loglikelihood_tokens([(("", ""), prompt, [likeliest]), (("", ""), prompt, [other])], True)
    assert [greedy for _, greedy in found] == [True, False]


def test_a_model_with_shared_keys_too(tokenizer):
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=1024, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128)  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    shared = SharedPromptLM(model, tokenizer=tokenizer.tokenizer)
    plain = HFLM(pretrained=model, tokenizer=tokenizer.tokenizer)
    asked = requests([(90, [1, 4, 2]), (30, [2, 2])], 1)
    ours, theirs = shared._loglikelihood_tokens(asked, True), plain._loglikelihood_tokens(asked, True)
    assert [value for value, _ in ours] == pytest.approx([value for value, _ in theirs], abs=1e-3)


def test_tokens_of_jp_stable(both, tiny_checkpoint):
    """Prompt and choice are encoded each by itself, without a begin token, which lm-eval adds here."""
    shared, _ = both
    apart = JpStableTokensLM(shared.model, tokenizer=str(tiny_checkpoint), batch_size=1)
    ids, prompt, choice = apart.tokenizer, "質問：朝にのぼるものは？\n\n### 応答:\n", "太陽"
    assert apart._encode_pair(prompt, choice) == (
        ids.encode(prompt, add_special_tokens=False), ids.encode(choice, add_special_tokens=False)
    )  # fmt: skip
    begin = ids.bos_token_id
    assert shared._encode_pair(prompt, choice)[0][0] == begin
    assert apart._encode_pair(prompt, choice)[0][0] != begin
    assert apart.tok_batch_encode([prompt])[0][0][0] != begin  # what an answer is generated from
    # lm-eval splits the tokens of both together, and the newline falls to neither: its token has the colon, too.
    assert ids.decode(shared._encode_pair(prompt, choice)[0]).endswith("応答:")
    assert ids.decode(apart._encode_pair(prompt, choice)[0]) == prompt
