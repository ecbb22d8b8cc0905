"""Each fault of an item is found and named, and what is sound passes."""

import pytest

from nec13b.augmentation.augmentation_config import ItemCheckSettings
from nec13b.augmentation.item_checks import answer_fault, is_in_language, question_fault, refusal_in
from nec13b.generation.generator import Completion

SETTINGS = ItemCheckSettings(max_answer_characters=500, max_question_characters=300)
QUESTION = "港町の朝市で買った魚を、次の日までおいしく保つ方法を教えてください。"
ANSWER = "まず内臓を取り、水気をよく拭きます。紙に包んで冷蔵庫の奥に置けば、翌日まで味が落ちません。"
PROMPT = "次の指示に条件を一つ加えた、新しい指示だけを書いてください。\n$instruction\n例："
ENGLISH = "Keep the fish cold, dry it well, wrap it in paper and put it at the back of the fridge overnight."


def reason_of_question(text, language="ja", finish_reason="stop"):
    fault = question_fault(Completion(text, finish_reason), text, PROMPT, [], language, SETTINGS)
    return fault and fault.reason


def reason_of_answer(text, question=QUESTION, earlier=(), language="ja", finish_reason="stop"):
    before = [{"role": "assistant", "content": each} for each in earlier] + [{"role": "user", "content": question}]
    fault = answer_fault(Completion(text, finish_reason), text, before, language, SETTINGS)
    return fault and fault.reason


def test_what_is_sound_passes():
    assert reason_of_question(QUESTION) is None
    assert reason_of_answer(ANSWER) is None
    assert reason_of_question("How do I keep fish fresh until tomorrow?", "en") is None
    assert reason_of_answer(ENGLISH, language="en") is None
    assert reason_of_answer("東京です。", "日本の首都はどこですか。") is None
    assert (
        reason_of_answer("```python\nprint('hello world, this is a long line of English')\n```\nと書きます。") is None
    )
    translation = "次の文を英語に訳してください。「魚は冷やして紙に包み、冷蔵庫の奥に置いてください。」"
    assert reason_of_answer(ENGLISH, translation) is None
    letter = (
        "次の手紙を読んで、集合の時刻を答えてください。遠足は来週の火曜日です。朝八時に駅前の広場に集まってください。"
    )
    assert reason_of_answer("朝八時に駅前の広場", letter) is None
    assert reason_of_answer("おはようございます。", "おはようございます。") is None
    assert reason_of_answer("合計は 12 × 3 = 36 円です。") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "format"), ("短い", "too_short"), (QUESTION * 20, "too_long"), (ENGLISH, "language"),
        ("<|im_start|>" + QUESTION, "special_tokens"), ("元の指示：" + QUESTION, "format"),
        (f"{PROMPT}{QUESTION}", "format"),
        (f"{QUESTION}\nアシスタント：{ANSWER}", "format"), (f"User: {QUESTION}", "format"),
        ("魚を買う。" * 30, "repetitive"), (QUESTION + "連絡は090-1234-5678まで。", "personal_data"),
        (QUESTION + "\ud800", "format"), (QUESTION + "</think>", "special_tokens"),
    ],
)  # fmt: skip
def test_faults_of_questions(text, reason):
    assert reason_of_question(text) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "format"), ("。", "too_short"), (ANSWER * 20, "too_long"), (ENGLISH, "language"),
        ("この続きは[INST]です。" + ANSWER, "special_tokens"), ("```\n途中で終わるコード", "format"),
        ("申し訳ありませんが、その件にはお答えできません。", "refusal"),
        ("AI言語モデルとして、私は魚を食べません。", "refusal"),
        (QUESTION, "repeats_question"), (f"「{QUESTION}」", "repeats_question"),
        (f"{QUESTION} そうですね、冷やしてください。まだ他にもいろいろなやり方があります。", "repeats_question"),
        ("はい。" * 50, "repetitive"), (ANSWER + "詳しくは taro@tanaka.co.jp へ。", "personal_data"),
        ("ユーザー：ありがとう。\n" + ANSWER, "format"),
    ],
)  # fmt: skip
def test_faults_of_answers(text, reason):
    assert reason_of_answer(text) == reason


def test_an_answer_that_was_given_before_is_one_fault_and_a_cut_one_another():
    assert reason_of_answer(ANSWER, earlier=["別の答え", ANSWER]) == "repeats_earlier_answer"
    assert reason_of_answer(ANSWER, finish_reason="length") == "unfinished"
    assert reason_of_question(QUESTION, finish_reason="length") == "unfinished"
    assert reason_of_answer(ANSWER, finish_reason="content_filter") == "content_filter"


def test_refusals_are_looked_for_at_the_beginning():
    assert refusal_in("I’m sorry, but I can't help with that.")
    assert not refusal_in(ANSWER * 5 + "その先はお答えできません。")
    assert not refusal_in("お断りの手紙は、まず謝意から書き始めます。")


def test_languages():
    assert is_in_language("東京", "ja")
    assert is_in_language("東京都千代田区霞が関", "ja")
    assert not is_in_language("東京都千代田区霞が関", "en")
    assert not is_in_language(ANSWER, "en")
    assert not is_in_language("Das ist ein langer Satz, der ganz offensichtlich auf Deutsch geschrieben wurde.", "en")
    assert is_in_language("def f(x): return x", "en")


def test_the_built_in_seeds_pass(root):
    """Dialogues written by people are what the checks must let through."""
    from nec13b.corpus import Rejections, domain_of_text
    from nec13b.dialogues.dialogue_sources import parse_dialogue_sources, read_dialogues

    settings, faults, seen = ItemCheckSettings(), [], 0
    for placed in read_dialogues(parse_dialogue_sources("sample"), Rejections(), 32_000):
        messages = placed.dialogue.messages
        language = placed.dialogue.language or domain_of_text("".join(m["content"] for m in messages))
        for number, message in enumerate(messages):
            if message["role"] == "assistant":
                seen += 1
                written, before = Completion(message["content"], "stop"), messages[:number]
                if fault := answer_fault(written, message["content"], before, language, settings):
                    faults.append((fault, placed.dialogue.id))
    if not seen:
        pytest.skip("no built-in dialogues")
    # Refusals are among them, and a dialogue that practises English.
    faults = [(fault, name) for fault, name in faults if fault.reason != "refusal"]
    assert len(faults) <= 0.03 * seen, faults
