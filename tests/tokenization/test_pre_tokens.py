"""Both engines cut alike, nothing is lost, and the cuts lie where they should."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from nec13b.tokenization.pre_tokens import PATTERN, pre_tokens

SPLIT = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
# Characters that have been in Unicode for long: the engines know different versions of it.
OLD = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs", "Cn", "Co"])
PIECES = st.sampled_from(
    ["東京", "の", "ラーメン", "ー", "〆", "々", "ヶ", "ﾊﾟ", "が", "か\u3099", " ", "  ", "\n", "\r\n", "\t", "\u3000",
     "'s", "'ll", "don't", "snake_case", ".join", "12", "３", "½", "…", "==", "é", "e\u0301", "Δ", "한글"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(PIECES, max_size=20).map("".join), st.text(OLD, max_size=60)))
def test_both_engines_cut_alike_and_nothing_is_lost(text):
    pieces = pre_tokens(text)
    assert "".join(pieces) == text
    assert [piece for piece, _ in SPLIT.pre_tokenize_str(text)] == pieces


def test_both_engines_cut_the_sample_alike(sample):
    for document in sample:
        if document.domain == "ja" or len(document.text) < 4000:
            assert [piece for piece, _ in SPLIT.pre_tokenize_str(document.text)] == pre_tokens(document.text)


def test_phrases_words_and_digits():
    assert pre_tokens("東京のラーメン屋で2024年にHello worldと言った。") == [
        "東京のラーメン屋で", "2", "0", "2", "4", "年に", "Hello", " world", "と言った", "。",
    ]  # fmt: skip
    assert pre_tokens("if x:\n    self.my_list.append(don't)  # 例") == [
        "if", " x", ":\n", "   ", " self", ".my", "_list", ".append", "(", "don", "'t", ")", " ", " #", " ", "例",
    ]  # fmt: skip
