"""Shingles and signatures estimate similarity, clusters keep their first document, and strangers stay."""

import random

import numpy as np
import pytest
from datatrove.data import Document as Row
from datatrove.pipeline.dedup import MinhashDedupBuckets
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.corpus.dirty_corpus import edited
from nec13b.corpus.duplicates import DropDuplicates
from nec13b.corpus.near_duplicates import (
    KeepFirstOfCluster,
    NearDuplicateSettings,
    WriteMinhashSignatures,
    minhash_signature,
    shingles_of,
)

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200)
JAPANESE = st.text(alphabet="あいうアイウ漢字語。、 \nabcＡ１", max_size=120)


@given(st.one_of(TEXT, JAPANESE), st.integers(1, 6))
def test_shingles_are_the_different_ngrams(text, n):
    shingles = shingles_of(text, n)
    assert len(set(shingles.tolist())) == len(shingles)
    assert shingles_of(text + "。、 \n", n).tolist() == shingles.tolist()  # signs and spaces say nothing
    assert len(shingles) <= max(0, len(text) * 2)


@given(st.text(alphabet="あいうえおかきくけこ", max_size=80), st.integers(1, 5))
def test_shingles_of_kana_against_plain_counting(text, n):
    assert len(shingles_of(text, n)) == len({text[i : i + n] for i in range(len(text) - n + 1)})


@given(st.text(alphabet="abcdefg", max_size=80), st.integers(1, 4))
def test_shingles_of_latin_letters_are_twice_as_long(text, n):
    assert len(shingles_of(text, n)) == len({text[i : i + 2 * n] for i in range(len(text) - 2 * n + 1)})


def test_widths_and_cases_are_alike():
    assert shingles_of("ＮＥＣの１３Ｂモデル", 2).tolist() == shingles_of("necの13bモデル", 2).tolist()


@settings(max_examples=30)
@given(st.integers(0, 400), st.integers(1, 400), st.integers(0, 2**32))
def test_signatures_estimate_jaccard_similarity(shared, own, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 1 << 63, shared + 2 * own, np.uint64)
    one, other = values[: shared + own], np.concatenate([values[:shared], values[shared + own :]])
    agreeing = (minhash_signature(one, 400) == minhash_signature(other, 400)).mean()
    assert agreeing == pytest.approx(shared / (shared + 2 * own), abs=0.13)  # five standard deviations


DEFAULT = NearDuplicateSettings()


def near_duplicates(parts: list[list[str]], folder, settings=DEFAULT) -> list[list[int]]:
    """Numbers of the documents that are kept of each part."""
    bands, signatures, pairs, found = (folder / name for name in ("bands", "signatures", "pairs", "found"))
    rows = [[Row(text, f"{p}:{i}", metadata={"row": i}) for i, text in enumerate(texts)]
            for p, texts in enumerate(parts)]  # fmt: skip
    for part, members in enumerate(rows):
        WriteMinhashSignatures(bands, signatures, settings).run(iter(members), part, len(parts))
    for band in range(settings.bands):
        MinhashDedupBuckets(str(bands), str(pairs), config=settings.minhash_config()).run(None, band, settings.bands)
    KeepFirstOfCluster(pairs, signatures, found, settings).run()
    kept = []
    for part, members in enumerate(rows):
        left = DropDuplicates(found, folder, "near_duplicates").run(iter(members), part, len(parts))
        kept.append([int(row.id.split(":")[1]) for row in left])
    return kept


@pytest.fixture(scope="module")
def texts(sample):
    return [document.text for document in sample if document.domain == "ja"]


def test_the_first_of_each_cluster_is_kept(texts, tmp_path):
    rng = random.Random(0)
    parts = [
        texts[:3],
        [texts[10], edited(texts[1], 0.03, rng), "短い", edited(texts[10], 0.03, rng)],
        [],
        [edited(texts[1], 0.05, rng), texts[0], texts[11], "", "短い"],
    ]
    kept = near_duplicates(parts, tmp_path)
    assert kept[:3] == [[0, 1, 2], [0, 2], []]
    assert set(kept[3]) == {2, 3, 4}  # texts too short for a shingle are no near duplicates of anything


def test_strangers_stay(texts, tmp_path):
    assert near_duplicates([texts[:50], texts[50:]], tmp_path) == [list(range(50)), list(range(len(texts) - 50))]


def test_candidates_are_believed_only_if_the_whole_signature_agrees(texts, tmp_path):
    """With one hash a band nearly every pair is a candidate; without a second look all would be one cluster."""
    loose = NearDuplicateSettings(shingle=1, bands=20, rows=1, similarity=0.9)
    assert near_duplicates([texts[:20]], tmp_path / "verified", loose) == [list(range(20))]
    blind = NearDuplicateSettings(shingle=1, bands=20, rows=1, similarity=0.01)
    assert near_duplicates([texts[:20]], tmp_path / "blind", blind) == [[0]]


def test_whole_novels_in_english_are_not_taken_for_one(sample, tmp_path):
    english = [document.text for document in sample if document.domain == "en"]
    rng = random.Random(1)
    novels = ["\n".join(rng.sample(english, 300)) for _ in range(2)]
    half = len(english) // 2
    apart = ["\n".join(english[:half]), "\n".join(english[half:])]
    assert near_duplicates([apart], tmp_path / "apart") == [[0, 1]]
    assert near_duplicates([[novels[0], novels[0] + " The end."]], tmp_path / "same") == [[0]]
