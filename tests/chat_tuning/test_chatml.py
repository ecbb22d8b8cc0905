"""Dialogues as tokens: what is predicted, what fits, and tokenizers that did not expect ChatML."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from nec13b import Nec13bConfig, Nec13bForCausalLM
from nec13b.chat_tuning.chatml import (
    IGNORED,
    encoded_dialogue,
    exchanges_that_fit,
    make_embeddings,
    stop_at_end_of_turn,
    use_chatml,
)
from nec13b.errors import InputError

THREE_TURNS = [
    {"role": "system", "content": "簡潔に。"},
    {"role": "user", "content": "今日は？"},
    {"role": "assistant", "content": "水曜日。"},
    {"role": "user", "content": "明日は？"},
    {"role": "assistant", "content": "木曜日。"},
    {"role": "user", "content": "昨日は？"},
    {"role": "assistant", "content": "火曜日。"},
]


def test_only_what_the_assistant_wrote_is_predicted_token_by_token(tokenizer):
    ids, labels = encoded_dialogue(tokenizer.tokenizer, THREE_TURNS)
    # By hand: every piece with whether it is predicted. Pieces are encoded apart, as special tokens part them.
    pieces = [("<|begin_of_text|>", False)]
    for role, said in (
        ("system", "簡潔に。"), ("user", "今日は？"), ("assistant", "水曜日。"), ("user", "明日は？"),
        ("assistant", "木曜日。"), ("user", "昨日は？"), ("assistant", "火曜日。"),
    ):  # fmt: skip
        pieces.append(("<|im_start|>" + role + "\n", False))
        pieces.append((said + "<|im_end|>", role == "assistant"))
        pieces.append(("\n", False))
    expected_ids, expected_labels = [], []
    for text, predicted in pieces:
        part = tokenizer.tokenizer(text, add_special_tokens=False)["input_ids"]
        expected_ids += part
        expected_labels += part if predicted else [IGNORED] * len(part)
    assert ids == expected_ids
    assert labels == expected_labels
    end = tokenizer.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert labels.count(end) == 3
    assert ids.count(end) == 7


TEXT = st.text(alphabet="あいう春夏 abc\n", max_size=30)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), st.booleans(), st.integers(10, 150))
def test_what_fits_is_a_beginning_that_ends_with_an_answer(tokenizer, exchanges, has_system, room):
    messages = [{"role": "system", "content": "s"}] if has_system else []
    for question, answer in exchanges:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    fitting = exchanges_that_fit(tokenizer.tokenizer, messages, room)
    first = messages[: 2 + has_system]
    if fitting is None:
        assert len(encoded_dialogue(tokenizer.tokenizer, first)[0]) > room
        return
    assert fitting == messages[: len(fitting)]
    assert fitting[-1]["role"] == "assistant"
    assert len(encoded_dialogue(tokenizer.tokenizer, fitting)[0]) <= room
    more = messages[: len(fitting) + 2]
    assert more == fitting or len(encoded_dialogue(tokenizer.tokenizer, more)[0]) > room


def other_tokenizer(**special) -> PreTrainedTokenizerFast:
    """A tokenizer of single characters that knows nothing of ChatML."""
    characters = "abcdefghijklmnopqrstuvwxyz_ \n<>|[]/INST"
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(["<s>", "</s>", *characters]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", **special)


def test_a_tokenizer_without_chatml_is_refused_or_gets_its_tokens():
    tokenizer = other_tokenizer()
    with pytest.raises(InputError, match=r"no <\|im_start\|> and no <\|im_end\|>.*add_chat_tokens"):
        use_chatml(tokenizer)
    before = len(tokenizer)
    assert use_chatml(tokenizer, add_tokens=True) == ["<|im_start|>", "<|im_end|>"]
    ids, labels = encoded_dialogue(
        tokenizer, [{"role": "user", "content": "</s>"}, {"role": "assistant", "content": "b"}]
    )
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(tokenizer.eos_token_id) == 0
    assert [label for label in labels if label != IGNORED] == tokenizer.convert_tokens_to_ids(["b", "<|im_end|>"])

    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = Nec13bForCausalLM(Nec13bConfig(vocab_size=before, pad_token_id=None, eos_token_id=1, **shape))
    added = make_embeddings(model, tokenizer, ["<|im_start|>", "<|im_end|>"])
    assert added == [before, before + 1]
    assert model.get_input_embeddings().weight.shape[0] >= len(tokenizer)
    stop_at_end_of_turn(model, tokenizer)
    assert model.generation_config.eos_token_id == [before + 1, 1]


def test_a_begin_token_that_is_chatmls_own_does_not_stand_twice():
    tokenizer = other_tokenizer()
    use_chatml(tokenizer, add_tokens=True)
    tokenizer.chat_template, tokenizer.bos_token = None, "<|im_start|>"
    use_chatml(tokenizer)
    ids, _ = encoded_dialogue(tokenizer, [{"role": "user", "content": "b"}])
    assert ids.count(tokenizer.bos_token_id) == 1


def test_a_template_that_marks_the_assistants_words_is_kept(tokenizer):
    own = copy.deepcopy(tokenizer.tokenizer)
    before = own.chat_template
    assert use_chatml(own) == []
    assert own.chat_template == before
    own.chat_template = "{{ messages[0]['content'] }}"
    use_chatml(own)
    assert "generation" in own.chat_template


def test_a_dialogue_that_the_template_cannot_render_is_named(tokenizer):
    strict = copy.deepcopy(tokenizer.tokenizer)
    strict.chat_template = "{% generation %}{{ raise_exception('no system messages') }}{% endgeneration %}"
    with pytest.raises(InputError, match="cannot render the dialogue: no system messages"):
        encoded_dialogue(strict, THREE_TURNS)
