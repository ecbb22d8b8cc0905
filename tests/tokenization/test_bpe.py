"""Any text comes back exactly; tokens respect scripts; special tokens are only what they should be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from nec13b.corpus import Document
from nec13b.errors import InputError
from nec13b.tokenization import SPECIAL_TOKENS, load_tokenizer, sample_by_hash, save_tokenizer, train_tokenizer

WELL_FORMED = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200)
NASTY = st.lists(
    st.sampled_from(["<|im_start|>", "</s>", "<s>",
                     " ", "  ", "\n", "\t", "\u3000", "\r\n", "ー", "が", "か\u3099", "ﾊﾟ",
                     "👩‍👩‍👧", "\ufeff", "\u202e", "\x00", "don't",
                     "１２３", "12345", "𠮷", "々", "ヶ", "あ", "ア", "漢"]),
    max_size=40,
).map("".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(WELL_FORMED, NASTY))
def test_round_trip_is_lossless(tokenizer, text):
    ids = tokenizer.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.tokenizer.decode(ids) == text
    plain = tokenizer.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer.tokenizer.decode(plain) == text
    assert not set(plain) & set(range(len(SPECIAL_TOKENS)))


def test_round_trip_of_the_whole_sample(tokenizer, sample):
    texts = [document.text for document in sample if document.domain == "ja" or len(document.text) < 5000]
    encoded = tokenizer.tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    for text, ids in zip(texts, encoded):
        assert tokenizer.tokenizer.decode(ids) == text


def test_every_byte_is_a_token_and_special_tokens_come_first(tokenizer):
    vocabulary = tokenizer.tokenizer.get_vocab()
    assert [vocabulary[token] for token in SPECIAL_TOKENS] == list(range(len(SPECIAL_TOKENS)))
    assert sum(len(token) == 1 for token in vocabulary) >= 256
    assert len(tokenizer.tokenizer) == 1024


def test_a_token_does_not_cross_from_one_script_to_another(tokenizer):
    pre = tokenizer.tokenizer.backend_tokenizer.pre_tokenizer
    text = "東京のラーメン屋で2024年にHello worldと言った。"
    pieces = [text[start:end] for _, (start, end) in pre.pre_tokenize_str(text)]
    assert pieces == [
        "東京", "の", "ラーメン", "屋", "で", "202", "4", "年", "に", "Hello", " world", "と", "言", "った", "。",
    ]  # fmt: skip


def test_loads_with_autotokenizer_without_remote_code(tokenizer):
    loaded = AutoTokenizer.from_pretrained(tokenizer.path, trust_remote_code=False)
    assert loaded.is_fast
    assert (loaded.pad_token, loaded.bos_token, loaded.eos_token) == ("<pad>", "<s>", "</s>")
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
        "<s><|im_start|>system\n簡潔に。<|im_end|>\n<|im_start|>user\nやあ<|im_end|>\n"
        "<|im_start|>assistant\nはい<|im_end|>\n<|im_start|>assistant\n"
    )
    encoded = tokenizer.tokenizer.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    written = [i for i, mask in zip(encoded["input_ids"], encoded["assistant_masks"]) if mask]
    assert tokenizer.tokenizer.decode(written) == "はい<|im_end|>"


def test_training_does_not_depend_on_the_order_of_texts(sample):
    texts = [document.text for document in sample if document.domain == "ja"][:20]
    one, other = train_tokenizer(texts, 600), train_tokenizer(reversed(texts), 600)
    assert one.get_vocab() == other.get_vocab()


def test_a_vocabulary_without_room_for_the_bytes_and_an_empty_corpus_are_refused():
    with pytest.raises(InputError, match="too small"):
        train_tokenizer(["text"], 200)
    with pytest.raises(InputError, match="corpus is empty"):
        train_tokenizer([], 1000)


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
def test_the_sample_for_training_is_bounded_and_depends_on_the_texts_alone(random, budget):
    documents = [Document(f"{i} " + "x" * (i % 90), "en" if i % 3 else "ja", "x") for i in range(200)]
    drawn = sample_by_hash(documents, budget)
    random.shuffle(documents)
    assert {document.text for document in sample_by_hash(documents, budget)} == {document.text for document in drawn}
    for domain in ("ja", "en"):
        assert 0 < sum(len(document.text) for document in drawn if document.domain == domain) <= budget
