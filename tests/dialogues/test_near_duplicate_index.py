"""The index finds what is nearly the same, names the most similar one, and lets strangers and short texts pass."""

import random
import tracemalloc

from nec13b.corpus.sample import sample_documents
from nec13b.dialogues.near_duplicate_index import NearDuplicateIndex


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


def test_a_band_that_many_texts_share_still_leads_to_each_of_them():
    shared = "この製品についてのお問い合わせは、販売店の窓口までお願いいたします。受付は平日の九時から十七時までです。"
    kanji = [chr(code) for code in range(0x4E00, 0x9000)]
    draw = random.Random(3)
    texts = [shared + "".join(draw.sample(kanji, 60)) for _ in range(40)]
    index = NearDuplicateIndex(0.9)
    assert [index.add_unless_like(text, str(i)) for i, text in enumerate(texts)] == [None] * 40
    assert [index.add_unless_like(text, "again")[0] for text in texts] == [str(i) for i in range(40)]


def test_a_text_takes_about_three_kilobytes():
    draw = random.Random(5)
    texts = ["".join(chr(draw.randrange(0x4E00, 0x9000)) for _ in range(60)) for _ in range(600)]
    index = NearDuplicateIndex(0.7)
    index.add_unless_like(texts[0], "first")
    tracemalloc.start()
    for number, text in enumerate(texts):
        index.add_unless_like(text, f"label/file.jsonl:{number}")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / len(index) < 3500
