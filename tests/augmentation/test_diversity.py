"""Measures of diversity agree with their definitions, and with sacrebleu where it measures the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.augmentation.diversity import distinct_share, diversity, nearest_similarity, self_bleu, units_of

WORDS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=2, max_size=7))
def test_self_bleu_is_sacrebleus(texts):
    metrics = pytest.importorskip("sacrebleu.metrics")
    bleu = metrics.BLEU(tokenize="none", effective_order=True, smooth_method="exp")
    lines = [" ".join(words) for words in texts]
    wanted = [
        bleu.sentence_score(line, [other for j, other in enumerate(lines) if j != i]).score
        for i, line in enumerate(lines)
    ]
    assert self_bleu(texts) == pytest.approx(sum(wanted) / len(wanted), abs=1e-6)


def test_copies_are_not_diverse_and_strangers_are():
    copies = ["港町の朝市で魚を買います。"] * 4
    strangers = ["港町の朝市で魚を買います。", "Pythonで書く。", "月はなぜ満ち欠けするのか", "祖母に手紙"]
    assert self_bleu([units_of(text) for text in copies]) == pytest.approx(100)
    assert self_bleu([units_of(text) for text in strangers]) < 10
    assert nearest_similarity(copies) == 1
    assert nearest_similarity(strangers) == 0
    assert nearest_similarity(copies[:1], strangers) == 1
    assert nearest_similarity(["", "あ"], ["い"]) == 0


def test_units_and_distinct_ngrams():
    assert units_of("NECの13B、強い") == ["NEC", "の", "13B", "、", "強", "い"]
    assert distinct_share([["a", "b", "a", "b"]], 2) == pytest.approx(2 / 3)
    assert distinct_share([["a"]], 2) == 0


def test_sets_are_compared_by_equally_many_texts():
    texts = [f"{place}で{thing}を探す。" for place in "東西南北" for thing in "山川海空"]
    report = diversity(texts, texts[:5])
    assert report["texts"] == 5
    assert report["kept"].keys() == {"self_bleu", "distinct_2", "distinct_3", "nearest_other", "nearest_seed"}
    assert diversity(texts, texts[:1]) == diversity([], texts) == {}
    assert diversity(texts, texts[:5]) == report
