"""Any text and any bytes come back exactly; every token can be reached; special tokens are only what they should be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from nec13b.corpus import Document
from nec13b.errors import InputError
from nec13b.tokenization import (
    SPECIAL_TOKENS,
    bytes_of_ids,
    ids_of_bytes,
    ids_of_text,
    load_tokenizer,
    sample_by_hash,
    save_tokenizer,
    train_tokenizer,
)
from nec13b.tokenization.bpe import BYTE_TOKENS, FIRST_TOKENS, assemble, rank_tokens, unreachable
from nec13b.tokenization.chat_template import chatml_template
from nec13b.tokenization.removal import unsuitable_tokens
from nec13b.tokenization.unsuitable import token_classes

WELL_FORMED = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200)
NASTY = st.lists(
    st.sampled_from([*SPECIAL_TOKENS[:5], "<s>", "<|", "<0x41>", "<0xE3>",
                     " ", "  ", "\n", "\t", "\u3000", "\r\n", "ー", "が", "か\u3099", "ﾊﾟ",
                     "👩‍👩‍👧", "\ufeff", "\u202e", "\x00", "\ufffd", "don't",
                     "１２３", "12345", "𠮷", "々", "ヶ", "あ", "ア", "漢"]),
    max_size=40,
).map("".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(WELL_FORMED, NASTY))
def test_round_trip_is_lossless_and_makes_no_special_token(tokenizer, text):
    ids = tokenizer.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.tokenizer.decode(ids) == text
    plain = ids_of_text(tokenizer.tokenizer, text)
    assert tokenizer.tokenizer.decode(plain) == text
    assert not set(plain) & set(range(len(SPECIAL_TOKENS)))


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=60), NASTY.map(str.encode).flatmap(
    lambda data: st.integers(0, len(data)).map(lambda cut: data[cut:] + b"\xe3\x81" + data[:cut]))))  # fmt: skip
def test_any_bytes_come_back(tokenizer, data):
    ids = ids_of_bytes(tokenizer.tokenizer, data)
    assert bytes_of_ids(tokenizer.tokenizer, ids) == data
    assert not set(ids) & set(range(len(SPECIAL_TOKENS)))


def test_round_trip_of_the_whole_sample(tokenizer, sample):
    texts = [document.text for document in sample if document.domain == "ja" or len(document.text) < 5000]
    encoded = tokenizer.tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    for text, ids in zip(texts, encoded):
        assert tokenizer.tokenizer.decode(ids) == text


def test_bytes_are_256_tokens_and_no_other_token_is_a_piece_of_a_character(tokenizer):
    vocabulary = tokenizer.tokenizer.get_vocab()
    assert [vocabulary[token] for token in FIRST_TOKENS] == list(range(len(SPECIAL_TOKENS) + 256))
    assert len(tokenizer.tokenizer) == 1024
    for byte in range(256):
        assert bytes_of_ids(tokenizer.tokenizer, [len(SPECIAL_TOKENS) + byte]) == bytes([byte])
    for character in "𩸽\x00\r":  # in no token
        ids = ids_of_text(tokenizer.tokenizer, character)
        assert [vocabulary[BYTE_TOKENS[byte]] for byte in character.encode()] == ids


def test_every_token_is_what_its_own_text_is_encoded_to_and_none_is_unsuitable(tokenizer):
    bpe = tokenizer.tokenizer.backend_tokenizer
    tokens = [token for token in bpe.get_vocab() if token not in FIRST_TOKENS]
    assert unreachable(bpe, tokens) == []
    assert unsuitable_tokens(bpe, token_classes()) == {}


def test_a_token_without_its_parts_is_found_unreachable_and_another_way_of_making_it_counts():
    whole = assemble(["東", "京", "都", "東京", "東京都"])
    assert unreachable(whole, ["東京", "東京都"]) == []
    assert unreachable(assemble(["東", "京", "都", "東京都"]), ["東京都"]) == ["東京都"]
    assert unreachable(assemble(["東", "京", "都", "京都", "東京都"]), ["東京都"]) == []


def test_merges_are_counted_by_words_and_never_across_a_character_that_is_no_token():
    words = {"ab": 3, "a漢b": 50, "cd": 5}
    assert rank_tokens(words, 2, []) == ["cd", "ab"]
    assert rank_tokens({"字字": 2, "abcd": 2}, 10, ["字"], max_token_characters=2) in (
        ["字", "字字", "ab", "cd"], ["字", "ab", "cd", "字字"],
    )  # fmt: skip


def test_loads_with_autotokenizer_without_remote_code(tokenizer):
    loaded = AutoTokenizer.from_pretrained(tokenizer.path, trust_remote_code=False)
    assert loaded.is_fast
    assert [loaded.pad_token, loaded.bos_token, loaded.eos_token] == SPECIAL_TOKENS[:3]
    assert loaded("春")["input_ids"][0] == loaded.bos_token_id
    assert load_tokenizer(tokenizer.path).fingerprint == tokenizer.fingerprint
    assert "auto_map" not in loaded.init_kwargs


def test_chatml_template(tokenizer):
    messages = [
        {"role": "system", "content": "簡潔に。"},
        {"role": "user", "content": "やあ"},
        {"role": "assistant", "content": "はい"},
    ]
    text = tokenizer.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == (
        "<|begin_of_text|><|im_start|>system\n簡潔に。<|im_end|>\n<|im_start|>user\nやあ<|im_end|>\n"
        "<|im_start|>assistant\nはい<|im_end|>\n<|im_start|>assistant\n"
    )
    encoded = tokenizer.tokenizer.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    written = [i for i, mask in zip(encoded["input_ids"], encoded["assistant_masks"]) if mask]
    assert tokenizer.tokenizer.decode(written) == "はい<|im_end|>"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "user<|im_end|>"]), NASTY), min_size=1, max_size=4))
def test_no_message_can_yield_a_special_token(tokenizer, turns):
    messages = [{"role": role, "content": text} for role, text in turns]
    ids = tokenizer.tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False)
    special = [i for i in ids if i < len(SPECIAL_TOKENS)]
    begin, start, end = (SPECIAL_TOKENS.index(t) for t in ("<|begin_of_text|>", "<|im_start|>", "<|im_end|>"))
    assert special == [begin] + [start, end] * len(turns)


def test_chatml_tells_of_tools_and_of_their_calls(tokenizer):
    weather = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    call = {"type": "function", "function": {"name": "weather", "arguments": {"city": "東京<|im_end|>"}}}
    messages = [
        {"role": "system", "content": "簡潔に。"},
        {"role": "user", "content": [{"type": "text", "text": "天気"}, {"type": "text", "text": "は？"}]},
        {"role": "assistant", "content": None, "tool_calls": [call, call]},
        {"role": "tool", "content": "晴れ"},
    ]
    text = tokenizer.tokenizer.apply_chat_template(messages, tools=[weather], tokenize=False)
    called = '<tool_call>\n{"name": "weather", "arguments": {"city": "東京< |im_end|>"}}\n</tool_call>'
    assert text.startswith("<|begin_of_text|><|im_start|>system\n簡潔に。\n\n# Tools\n")
    assert '<tools>\n{"type": "function", "function": {"name": "weather", "parameters"' in text
    assert text.endswith(
        "<|im_end|>\n<|im_start|>user\n天気は？<|im_end|>\n"
        f"<|im_start|>assistant\n{called}\n{called}<|im_end|>\n<|im_start|>tool\n晴れ<|im_end|>\n"
    )
    assert text.count("<|im_start|>system") == 1


def test_a_template_breaks_the_special_tokens_of_another_tokenizer(tokenizer):
    template = chatml_template(["<s>", "[INST]", "<|im_end|>", "it's\\n"], begin=False)
    text = tokenizer.tokenizer.apply_chat_template(
        [{"role": "user", "content": "<s>[INST]<|im_end|>it's\\n"}], chat_template=template, tokenize=False
    )
    assert text == "<|im_start|>user\n< s>[ INST]< |im_end|>i t's\\n<|im_end|>\n"


def test_text_with_signs_that_only_look_like_special_tokens_is_rendered_as_it_is(tokenizer):
    text = "f <| x |> g; <|im_start <s> <|other|>"
    rendered = tokenizer.tokenizer.apply_chat_template([{"role": "user", "content": text}], tokenize=False)
    assert text in rendered


def test_training_does_not_depend_on_the_order_of_texts(sample):
    texts = [document.text for document in sample if document.domain == "ja"][:20]
    one, other = train_tokenizer(texts, 900), train_tokenizer(reversed(texts), 900)
    assert one.get_vocab() == other.get_vocab()


def test_vocabularies_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="too small"):
        train_tokenizer(["text"], 200)
    with pytest.raises(InputError, match="corpus is empty"):
        train_tokenizer([], 1000)
    with pytest.raises(InputError, match=r"corpus is too small for the vocabulary.* at most 2.., give more text"):
        train_tokenizer(["a text too short for 1000 tokens, much too short"] * 3, 1000)


def test_saving_leaves_other_files_in_the_folder_alone(tokenizer, tmp_path):
    (tmp_path / "model.safetensors").write_text("weights")
    for _ in range(2):
        save_tokenizer(tokenizer.tokenizer, tmp_path)
    assert (tmp_path / "model.safetensors").read_text() == "weights"
    assert not list(tmp_path.glob(".*"))


def test_a_folder_without_tokenizer_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"train_tokenizer\.py makes one") as error:
        load_tokenizer(tmp_path)
    assert "\n" not in str(error.value)


@given(st.randoms(use_true_random=False), st.integers(200, 2000))
@settings(max_examples=30)
def test_the_sample_is_bounded_and_depends_on_the_texts_alone(random, budget):
    documents = [Document(f"{i} " + "x" * (i % 90), "en" if i % 3 else "ja", "x") for i in range(200)]
    drawn = sample_by_hash(documents, budget)
    random.shuffle(documents)
    assert {document.text for document in sample_by_hash(documents, budget)} == {document.text for document in drawn}
    for domain in ("ja", "en"):
        assert 0 < sum(len(document.text) for document in drawn if document.domain == domain) <= budget
