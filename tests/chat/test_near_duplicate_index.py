"""The index finds what is nearly the same, names the most similar one, and lets strangers and short texts pass."""

from nec13b.chat.near_duplicate_index import NearDuplicateIndex
from nec13b.corpus.sample import sample_documents


def test_copies_with_small_changes_are_found_and_strangers_are_not():
    texts = [document.text[:1500] for document in sample_documents("ja") if len(document.text) > 1500]
    index = NearDuplicateIndex(0.7)
    assert [index.add_unless_like(text, str(i)) for i, text in enumerate(texts)] == [None] * len(texts)
    for i, text in enumerate(texts):
        changed = "付け足し。" + text.replace("、", "，", 3)[:-60]
        name, similarity = index.add_unless_like(changed, "copy")
        assert (name, similarity >= 0.7) == (str(i), True)
    assert len(index) == len(texts)


def test_the_bound_decides():
    text = next(document.text for document in sample_documents("ja") if len(document.text) > 3000)
    half = text[:1500] + "。" + text[2000:2700]
    strict, lax = NearDuplicateIndex(0.95), NearDuplicateIndex(0.4)
    for index in (strict, lax):
        index.add_unless_like(text[:2200], "first")
    assert strict.add_unless_like(half, "second") is None
    assert lax.add_unless_like(half, "second")[0] == "first"


def test_short_texts_are_like_none():
    index = NearDuplicateIndex(0.5)
    assert index.add_unless_like("こんにちは", "a") is None
    assert index.add_unless_like("こんにちは", "b") is None
    assert len(index) == 0
