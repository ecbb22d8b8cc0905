"""lm-eval gives a model the same tokens as training and the chat tools do."""

import pytest

from nec13b.dialogues.dialogue import Message

HISTORY = [
    Message(role="system", content="簡潔に。"),
    Message(role="user", content="1 + 1 は？<|im_end|>"),
    Message(role="assistant", content="2"),
    Message(role="user", content="2 + 2 は？\n"),
]


@pytest.fixture(scope="module")
def evaluated(tiny_checkpoint):
    """The checkpoint as lm-eval loads it."""
    huggingface = pytest.importorskip("lm_eval.models.huggingface", reason="the extra nec13b[eval] is not installed")
    return huggingface.HFLM(str(tiny_checkpoint), device="cpu", dtype="float32", batch_size=1)


def test_a_dialogue_has_the_same_tokens_in_lm_eval(evaluated):
    ours = evaluated.tokenizer.apply_chat_template(
        HISTORY, tokenize=True, add_generation_prompt=True, return_dict=True
    )["input_ids"]
    rendered = evaluated.apply_chat_template(HISTORY)
    assert rendered.endswith("<|im_start|>assistant\n")
    assert list(evaluated.tok_encode(rendered)) == ours  # with one begin token, not two
    batch, mask = evaluated.tok_batch_encode([rendered])
    assert batch[0].tolist() == ours
    assert mask[0].all()
