"""Mix-ups of encodings are found and undone, honest text is not touched, and languages are told apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.corpus.languages import identify_language
from nec13b.corpus.mojibake import broken_share, repair_mojibake

JAPANESE = "きょうは朝から雨が降っていたので、家でコーヒーを飲みながら本を読んでいた。夕方になって、やっと晴れた。"
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200)


@pytest.mark.parametrize(
    ("written_in", "read_as"),
    [("utf-8", "latin-1"), ("cp932", "latin-1"), ("euc_jp", "latin-1")],
)
def test_readings_that_lose_nothing_are_undone(written_in, read_as):
    broken = JAPANESE.encode(written_in).decode(read_as)
    assert broken_share(broken) > 0.05
    assert repair_mojibake(broken) == (JAPANESE, 0.0)


def test_a_page_that_mixes_windows_1252_and_latin_1_is_undone():
    """Browsers read the bytes that Windows-1252 leaves empty as Latin-1's control characters."""
    broken = "".join(
        chr(byte) if byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else bytes([byte]).decode("cp1252")
        for byte in JAPANESE.encode()
    )
    assert repair_mojibake(broken) == (JAPANESE, 0.0)


@pytest.mark.parametrize(("written_in", "read_as"), [("utf-8", "cp932"), ("euc_jp", "cp932"), ("utf-8", "cp1252")])
def test_readings_that_lose_something_are_found(written_in, read_as):
    broken = JAPANESE.encode(written_in).decode(read_as, errors="replace")
    text, share = repair_mojibake(broken)
    assert text == broken
    assert share > 0.05


@pytest.mark.parametrize(
    "text",
    [
        JAPANESE, "ほつれた縺れをほどく。", "ｶﾀｶﾅ､ﾋﾗｶﾞﾅ｡", "そうだな･･････いや", "Il a dit : « déjà vu » et s'est tu.",
        "£10 or ¥1,500 – “quoted” text, naïve café", "Ärger über Öl, Größe", "price ¤100", "",
    ],
)  # fmt: skip
def test_honest_text_is_not_touched(text):
    assert repair_mojibake(text)[0] == text
    assert broken_share(text) < 0.15


@given(TEXT)
def test_every_text_has_a_share(text):
    repaired, share = repair_mojibake(text)
    assert 0 <= share <= 1
    assert broken_share(repaired) == share


@given(st.text(alphabet="あいうえおアイウ漢字語。、", min_size=30, max_size=200))
def test_japanese_written_in_utf_8_and_read_as_latin_1_always_comes_back(text):
    assert repair_mojibake(text.encode().decode("latin-1"))[0] == text


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (JAPANESE, "ja"),
        ("これはペンです。", "ja"),
        ("カタカナ", "ja"),
        ("The quick brown fox jumps over the lazy dog near the river.", "en"),
        ("The word 桜 (sakura) means cherry blossom and is used in many English books about Japan.", "en"),
        ("这是一本关于中国历史的书，我昨天在图书馆借的，今天读完了。", "zh"),
        ("오늘은 비가 와서 집에서 책을 읽었습니다.", "ko"),
        ("Heute hat es geregnet, deshalb blieb ich zu Hause und las.", "de"),
    ],
)
def test_languages(text, language):
    found, probability = identify_language(text)
    assert found == language
    assert 0 < probability <= 1


@given(TEXT)
def test_every_text_has_a_language(text):
    language, probability = identify_language(text)
    assert language
    assert 0 <= probability <= 1


def test_a_foreign_beginning_does_not_decide():
    assert identify_language("INTRODUCTION\n" * 20 + JAPANESE * 30)[0] == "ja"


def test_the_sample_is_in_the_languages_it_says(sample):
    prose = [document for document in sample if document.domain != "code"]
    wrong = [d.id for d in prose if len(d.text) > 500 and identify_language(d.text)[0] != d.language]
    assert len(wrong) < 0.01 * len(prose), wrong


def test_honest_text_has_next_to_no_traces_of_a_wrong_encoding(sample):
    shares = {document.id: repair_mojibake(document.text)[1] for document in sample if document.domain != "code"}
    assert max(shares.values()) <= 0.01, max(shares, key=shares.get)
