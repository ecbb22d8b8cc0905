"""Each class of unsuitable tokens: what it holds, and what it must leave alone."""

import pytest

from nec13b.errors import InputError
from nec13b.tokenization.unsuitable import folded, token_classes, wanted_classes

CLASSES = {each.name: each for each in token_classes()}
HELD = {
    "byte_fragment": ["\ufffd", "あ\ufffd", "<0xE3>"],
    "control": ["\x00", "\u200b", "\ufeffあ", "\ue000", "\u0378", "\r\n", "a\u202e"],
    "mojibake": ["縺", "繧ｹ", "ã‚¢", "Ã©", "ï¼"],
    "repeat": ["wwww", "ーーーー", "======", "ハハハハ", " " * 17, "-=-=-=", "ありあありあありあ", "xxxx", "+-----"],
    "number": ["12", "2024", "二〇二三", "平成二十年", "三月十", "１２", "十五日"],
    "address": ["http", "https", "://", "www", ".com", "@gmail.com", " HTTP", "mailto", ".html", "tel"],
    "mixed": ["。そ", "東京、", "「東", " 東京", "Aクラス", "Δx", "(self", "end.", "a b", "東京of", "word\n"],
    "phrase": ["送料無料", "エロ動画", "今すぐクリック", "click here", "キチガイ"],
    "person": ["田中さん", "藤原氏の", "佐藤さんは", "正太さんは", "ミドリちゃん", "小林君", "名無しさん", "徳川様"],
}
LEFT_ALONE = [
    "東京", "返します", "日本の", " the", "_name", ".append", "'s", "\n\n", "\t", "    ", " " * 16, "====", "----",
    "……",
    "ww", "ーー", "ますます", "banana", " Mississippi", "皆さん", "お母さんは", "お客さん", "本屋さん", "医者さん",
    "様々", "仕様", "模様",
    "神様", "氏", "さん", "彼氏", "二つ", "三十", "五月", "年", "月", "1", "①", "ⅷ", "é", " café", "한국", " привет",
    "縁", "α",
    "検索", "無料", "電話番号", "コメント", "先生", "君", "たくさん", "ー", "が", "皆さんは", "赤ちゃん",
]  # fmt: skip


@pytest.mark.parametrize("name", HELD)
def test_what_a_class_holds(name):
    assert [token for token in HELD[name] if not CLASSES[name].holds(token)] == []


@pytest.mark.parametrize("token", LEFT_ALONE)
def test_what_no_class_holds(token):
    assert [each.name for each in CLASSES.values() if each.holds is not None and each.holds(token)] == []


def test_a_class_can_be_switched_off_and_a_wrong_name_is_refused():
    assert "number" not in {each.name for each in wanted_classes(["number", "rare"])}
    for wrong in ("numbers", "unreachable"):
        with pytest.raises(
            InputError, match=r"keep_classes: .* is no class of unsuitable tokens; they are byte_fragment"
        ):
            wanted_classes([wrong])


def test_own_word_lists_are_searched_too(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("競輪情報\n", encoding="utf-8")
    phrase = next(each for each in token_classes({"gambling": str(path)}) if each.name == "phrase")
    assert phrase.holds("競輪情報")
    assert not CLASSES["phrase"].holds("競輪情報")
    with pytest.raises(InputError, match="cannot read the word list"):
        token_classes({"gambling": str(tmp_path / "none.txt")})


def test_folding_is_of_width_and_case():
    assert [folded(token) for token in ("ＡＢＣ", " The", "ｱ", "東京")] == ["abc", " the", "ア", "東京"]
