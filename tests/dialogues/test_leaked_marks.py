"""Marks of chat formats are found where they leaked, and left alone where they are only spoken of."""

import pytest

from nec13b.dialogues.leaked_marks import leaked_mark, without_code
from nec13b.tokenization.special_tokens import SPECIAL_TOKENS


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("終わり<|im_end|>", "<|im_end|>"), ("<|eot_id|>", "<|eot_id|>"),
        ("<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        ("```\n<|im_start|>\n```", "<|im_start|>"), ("[INST] 質問 [/INST]", "[INST]"), ("<<SYS>>", "<<SYS>>"),
        ("はい。</s>", "</s>"), ("<s>はい", "<s>"), ("<start_of_turn>model", "<start_of_turn>"),
        ("[gMASK]", "[gMASK]"), ("### Human: hi", "### Human:"),
        ("答え\n### Instruction:\n次", "### Instruction:"), ("### 応答：", "### 応答："),
    ],
)  # fmt: skip
def test_marks_that_leaked(text, mark):
    assert leaked_mark(text) == mark


@pytest.mark.parametrize(
    "text",
    [
        "`<s>` は取り消し線のタグです", "```html\n<s>古い値段</s>\n```", "### まとめ\n本文", "a < b | c > d",
        "f <| x |> g",
        "BERTの[MASK]", "[1] 参考文献", "<strong>太字</strong>", "2 ### 3", "本文の途中に ### Instruction: がある", "",
    ],
)  # fmt: skip
def test_what_is_none(text):
    assert leaked_mark(text) == ""


def test_every_special_token_of_ours_is_found():
    for token in SPECIAL_TOKENS:
        assert leaked_mark(f"前{token}後") == token


def test_text_without_its_code():
    assert without_code("見て。\n```python\nprint(1)\n```\n`x` です").split() == ["見て。", "です"]
    assert without_code("```\n閉じない").strip() == ""
