"""With documents kept apart, a token's logits do not know what is packed beside it; together they do."""

import itertools

import numpy as np
import pytest
import torch
from transformers import DataCollatorWithFlattening, modeling_flash_attention_utils
from transformers.modeling_flash_attention_utils import _lazy_define_process_function

from nec13b.configuration_nec13b import Nec13bConfig
from nec13b.modeling_nec13b import Nec13bForCausalLM
from nec13b.pretraining import PackedSequences, SequenceCollator, packing_plan

VOCABULARY = 200
BACKENDS = ["sdpa", "eager", "flash_attention_2", pytest.param("flex_attention", marks=pytest.mark.slow)]


def flash_varlen(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, causal, dropout_p, softmax_scale):
    """What flash_attn_varlen_func computes: (tokens, heads, head_dim), each stretch between two limits by itself."""
    assert cu_seqlens_q.dtype == torch.int32
    assert cu_seqlens_q[-1] == len(q)
    assert torch.diff(cu_seqlens_q).max() <= max_seqlen_q
    outputs = []
    for a, b in zip(cu_seqlens_q.tolist(), cu_seqlens_q.tolist()[1:]):
        parts = [x[a:b].transpose(0, 1)[None] for x in (q, k, v)]
        part = torch.nn.functional.scaled_dot_product_attention(*parts, is_causal=causal, scale=softmax_scale)
        outputs.append(part[0].transpose(0, 1))
    return torch.cat(outputs)


def flash(q, k, v, causal, dropout_p, softmax_scale):
    """What flash_attn_func computes: (batch, tokens, heads, head_dim)."""
    parts = [x.transpose(1, 2) for x in (q, k, v)]
    output = torch.nn.functional.scaled_dot_product_attention(*parts, is_causal=causal, scale=softmax_scale)
    return output.transpose(1, 2)


@pytest.fixture
def model_with(monkeypatch):
    """A small model with an attention backend. For flash attention the CUDA kernels are replaced by what they compute;
    everything around them is transformers' own."""

    def make(backend: str) -> Nec13bForCausalLM:
        torch.manual_seed(0)
        shape = Nec13bConfig(
            vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=64, use_cache=False,  # as in training; a cache hides the positions from the masks
        )  # fmt: skip
        model = Nec13bForCausalLM(shape).eval()
        if backend == "flash_attention_2":
            kernels = (flash, flash_varlen, None, None, None)
            settings = (_lazy_define_process_function(flash_varlen), None)
            monkeypatch.setattr(
                modeling_flash_attention_utils, "lazy_import_flash_attention", lambda *_, **__: (kernels, settings)
            )
            model.config._attn_implementation = backend  # set_attn_implementation would ask for the CUDA package
        else:
            model.set_attn_implementation(backend)
        return model

    return make


def examples_of(shards_of, tmp_path, name, lengths, best_fit=True, across=False, number=4):
    shards = shards_of({"ja": lengths}, name, vocab_size=VOCABULARY)
    plan = packing_plan(shards, 32, tmp_path / "run") if best_fit else None
    train = PackedSequences(shards, 32, {"ja": 1.0}, 1, number, plan, attend_across_documents=across)
    return [train[i] for i in range(number)]


def logits_of(model, examples, backend):
    batch = SequenceCollator(backend)([{k: v for k, v in e.items() if k != "labels"} for e in examples])
    with torch.no_grad():
        return model(**batch).logits


@pytest.mark.parametrize("backend", BACKENDS)
def test_logits_do_not_change_when_another_document_is_packed_beside(model_with, shards_of, tmp_path, backend):
    model = model_with(backend)
    lengths = [12, 9, 6, 20, 7, 30, 14, 11, 5]
    for best_fit in (True, False):
        examples = examples_of(shards_of, tmp_path, f"apart {best_fit}", lengths, best_fit)
        logits = logits_of(model, examples, backend)
        pieces = 0
        for row, example in enumerate(examples):
            begins = [*np.flatnonzero(example["position_ids"] == 0).tolist(), 32]
            for begin, end in itertools.pairwise(begins):
                alone = {name: values[begin:end] for name, values in example.items()}
                alone_logits = logits_of(model, [alone], backend)[0]
                assert torch.allclose(logits[row, begin:end], alone_logits, atol=1e-6, rtol=0)
                pieces += 1
        assert pieces > 8
        assert torch.isfinite(logits).all()  # rows of padding too


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("best_fit", [False, True])
def test_they_do_change_where_attention_crosses_documents(model_with, shards_of, tmp_path, backend, best_fit):
    model = model_with(backend)
    lengths = [12, 9, 6, 20, 7, 30, 14, 11, 5]
    apart = examples_of(shards_of, tmp_path, "apart", lengths, best_fit)
    across = examples_of(shards_of, tmp_path, "across", lengths, best_fit, across=True)
    difference = (logits_of(model, apart, backend) - logits_of(model, across, backend)).abs().amax(-1)
    for row, example in enumerate(apart):
        assert np.array_equal(example["input_ids"], across[row]["input_ids"])
        begins = np.flatnonzero(example["position_ids"] == 0)
        end_of_first = begins[1] if len(begins) > 1 else 32
        assert difference[row, :end_of_first].max() < 1e-6
        for begin in begins[1:]:
            assert difference[row, begin] > 1e-4


@pytest.mark.parametrize("backend", ["sdpa", "eager", "flash_attention_2"])
@pytest.mark.parametrize("best_fit", [False, True])
def test_every_backend_and_a_flattened_batch_have_the_loss_of_the_documents(
    model_with, shards_of, tmp_path, backend, best_fit
):
    """By hand: every piece alone, its tokens but the first predicted, averaged over all predicted tokens."""
    model = model_with(backend)
    examples = examples_of(shards_of, tmp_path, "tokens", [12, 9, 6, 20, 7, 30, 14, 11, 5], best_fit)
    losses, pieces = [], []
    for example in examples:
        begins = [*np.flatnonzero(example["position_ids"] == 0).tolist(), 32]
        for begin, end in itertools.pairwise(begins):
            pieces.append({name: values[begin:end] for name, values in example.items()})
            ids = pieces[-1]["input_ids"]
            if ids[0]:
                logits = logits_of(model, [pieces[-1]], backend)[0, :-1]
                target = torch.from_numpy(ids[1:])
                losses += torch.nn.functional.cross_entropy(logits, target, reduction="none").tolist()
    by_hand = np.mean(losses)
    batch = SequenceCollator(backend)(examples)
    assert model(**batch).loss.item() == pytest.approx(by_hand, abs=1e-5)
    # The count that Trainer divides by is taken in the same way (Trainer._get_num_items_in_batch).
    assert int((batch["labels"][:, 1:] != -100).sum()) == len(losses)

    # One row of everything, as transformers flattens batches, from the same pieces.
    keep = [{name: piece[name] for name in ("input_ids", "labels")} for piece in pieces]
    flattened = DataCollatorWithFlattening(return_flash_attn_kwargs="flash" in backend)(keep)
    assert flattened["input_ids"].shape == (1, 4 * 32)
    assert model(**flattened).loss.item() == pytest.approx(by_hand, abs=1e-5)
