"""How the report sorts and shows tokens, its own and those of other kinds of tokenizers."""

from tokenizers import Tokenizer, decoders, models

from nec13b.tokenization.peers import Peer
from nec13b.tokenization.report import script_of, visible


def test_scripts_and_what_has_no_picture():
    scripts = {"東京": "kanji", "した": "hiragana", "カー": "katakana", "東京の": "kanji and kana",
               " the": "Latin letters",
               "привет": "other letters", "\n\n": "spaces and line ends", "「」": "marks", "１": "digits"}  # fmt: skip
    assert {token: script_of(token) for token in scripts} == scripts
    assert visible(" a\n\t\u3000\u200b") == "␣a⏎⇥□U+200B"


def test_what_tokens_of_other_kinds_of_tokenizers_stand_for():
    letters = Tokenizer(models.BPE(vocab={"ã": 0, "ãģĤ": 1, "Ġa": 2, "a": 3, "ãģ": 4}, merges=[]))
    letters.decoder = decoders.ByteLevel()
    assert sorted(Peer("bytes", letters).token_texts()) == [" a", "a", "あ", "\ufffd"]
    pieces = Tokenizer(models.BPE(vocab={"▁a": 0, "<0xE3>": 1, "あ": 2}, merges=[]))
    pieces.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    assert sorted(Peer("pieces", pieces).token_texts()) == [" a", "あ"]
