"""The loss in chunks is the loss over whole logits: value, gradients, and what is left out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from nec13b import Nec13bConfig, Nec13bForCausalLM
from nec13b.pretraining.chunked_loss import chunked_loss, use_chunked_loss

SHAPE = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


@pytest.fixture(scope="module", params=["untied", "tied"])
def models(request):
    """(with whole logits, in chunks): the same weights."""
    shape = SHAPE | {
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "tie_word_embeddings": request.param == "tied",
    }
    torch.manual_seed(0)
    whole = LlamaForCausalLM(LlamaConfig(**shape))
    chunked = Nec13bForCausalLM(Nec13bConfig(**shape))
    chunked.load_state_dict(whole.state_dict())
    use_chunked_loss(chunked, 7)  # does not divide the tokens evenly
    return whole, chunked


@given(data=st.data(), by_token=st.booleans(), divided=st.booleans())
@settings(max_examples=15, deadline=None)
def test_value_and_gradients_are_those_of_whole_logits(models, data, by_token, divided):
    whole, chunked = models
    batch, tokens = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 20))
    ids = torch.randint(0, SHAPE["vocab_size"], (batch, tokens), generator=torch.Generator().manual_seed(tokens))
    hidden_labels = data.draw(st.lists(st.booleans(), min_size=batch * tokens, max_size=batch * tokens))
    labels = ids.masked_fill(torch.tensor(hidden_labels).reshape(batch, tokens), -100)
    count = (labels[:, 1:] != -100).sum()
    if count == 0:
        return
    items = {"num_items_in_batch": torch.tensor(37.0)} if divided else {}
    whole.zero_grad()
    chunked.zero_grad()
    expected = whole(ids, labels=labels, **items).loss
    given = chunked(input_ids=ids, labels=labels, token_losses=by_token, **items)
    expected.backward()
    given.loss.backward()
    torch.testing.assert_close(given.loss, expected, atol=1e-5, rtol=1e-5)
    for one, other in zip(chunked.parameters(), whole.parameters()):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)
    if by_token:
        assert given.token_losses.shape == ids.shape
        assert (given.token_losses > 0).sum() == count
        total = given.token_losses.sum() / (37 if divided else count)
        torch.testing.assert_close(total, expected.detach(), atol=1e-5, rtol=1e-5)


def test_without_labels_it_gives_logits(models):
    whole, chunked = models
    ids = torch.arange(10)[None]
    assert torch.equal(chunked(input_ids=ids).logits, whole(ids).logits)
    new = chunked.generate(input_ids=ids, max_new_tokens=3, do_sample=False, pad_token_id=0)
    assert torch.equal(new, whole.generate(ids, max_new_tokens=3, do_sample=False, pad_token_id=0))


def test_in_bf16_the_reported_loss_is_not_rounded_to_bf16():
    torch.manual_seed(1)
    hidden, weight = torch.randn(4, 100, 32), torch.randn(300, 32, requires_grad=True)
    targets = torch.randint(0, 300, (4, 100))
    exact = torch.nn.functional.cross_entropy((hidden @ weight.T).flatten(0, 1), targets.flatten())
    with torch.autocast("cpu", torch.bfloat16):
        given = chunked_loss(hidden, weight, targets)
    assert given.loss.dtype == torch.float32
    assert given.loss.item() == pytest.approx(exact.item(), abs=0.005)  # a step of bf16 is 0.03 here
    given.loss.backward()
    assert weight.grad.dtype == torch.float32
