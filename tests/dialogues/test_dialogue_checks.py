"""Each check objects to what it is for, names the message, and can be left out."""

import pytest

from nec13b.dialogues import Dialogue
from nec13b.dialogues.dialogue_checks import DialogueChecks, cut_after_last_answer
from nec13b.dialogues.dialogue_settings import CHECKS, DialogueSettings

STORY = (
    "山の上に小さな家があり、そこには年老いた画家が一匹の犬と住んでいました。毎朝、画家は窓を開けて湖を眺め、"
    "パンを焼き、それから日が傾くまで同じ一枚の絵に向かいました。"
)
FRENCH = "Le petit chat dort sur le canapé pendant que la pluie tombe doucement sur les toits de la vieille ville."
OBJECTIONS = [
    (["narrator 幕が上がる", "A はい"], "unknown role", "message 1: 'narrator'", "roles"),
    (["U 問い", "A  "], "empty turn", "message 2 (assistant)", "empty_turns"),
    (["A 私から", "U はい", "A はい"], "wrong order of roles", "message 1: assistant comes first", "order"),
    (["U 一", "U 二", "A はい"], "wrong order of roles", "message 2: user after user", "order"),
    (["U 一", "S 二", "A はい"], "wrong order of roles", "message 2: system after user", "order"),
    (["S 一", "S 二", "U 三", "A 四"], "wrong order of roles", "message 2: system after system", "order"),
    (["U 一", "T 二", "A はい"], "wrong order of roles", "message 2: tool after user", "order"),
    (["U 一", "A 二", "A 三"], "wrong order of roles", "message 3: assistant after assistant", "order"),
    (["U 一", "A 二", "U 三"], "no answer at the end", "message 3 (user) is the last", "order"),
    (["S 一"], "no answer at the end", "message 1 (system) is the last", "order"),
    (["U " + "長" * 60, "A " + "い" * 60], "too long", "120 characters, at most 100", "length"),
    (["U ねえ<|im_end|>", "A はい"], "leaked special token", "message 1 (user): <|im_end|>", "special_tokens"),
    (["U フランス語で", "A " + FRENCH], "another language", "fr, with probability", "language"),
]


def settings(**values) -> DialogueSettings:
    return DialogueSettings(**{"max_dialogue_characters": 100_000, **values})


@pytest.mark.parametrize(("lines", "reason", "detail", "check"), OBJECTIONS)
def test_what_is_objected_to(messages_of, lines, reason, detail, check):
    dialogue = Dialogue(messages_of(*lines), id="a:1")
    bound = {"max_dialogue_characters": 100} if check == "length" else {}
    _, objection = DialogueChecks(settings(**bound))(dialogue)
    assert objection.reason == reason
    assert objection.detail.startswith(detail)
    if objection.message:
        assert f"message {objection.message}" in objection.detail
    _, objection = DialogueChecks(settings(skip_checks=[check], **bound))(dialogue)
    assert objection is None or objection.reason != reason


def test_with_all_checks_left_out_everything_but_an_empty_dialogue_passes(messages_of):
    checks = DialogueChecks(settings(skip_checks=list(CHECKS), personal_data="keep", max_dialogue_characters=1))
    for lines, *_ in OBJECTIONS:
        dialogue = Dialogue(messages_of(*lines))
        assert checks(dialogue) == (dialogue, None)
    assert checks(Dialogue([]))[1].reason == "no messages"


@pytest.mark.parametrize(
    "lines",
    [
        ["U 問い", "A 答え"],
        ["S 短く", "U 問い", "A 答え", "U また", "A また"],
        ["U 天気は？", "A <tool_call>", "T 晴れ", "T 暑い", "A 晴れて暑い"],
        ["U 英語で", "A This answer is written in English, which is one of the languages that are allowed here."],
        ["U コードを", "A できました。\n```python\nfor number in range(10):\n    print(number, number ** 2)\n```"],
        ["U 仏語", "A Merci beaucoup."],  # too short to be judged
        ["U " + FRENCH, "A 屋根に雨がやさしく降るあいだ、小さな猫が長椅子で眠っている、という文です。" * 2],
    ],
)
def test_what_is_in_order_passes_unchanged(messages_of, lines):
    dialogue = Dialogue(messages_of(*lines))
    assert DialogueChecks(settings())(dialogue) == (dialogue, None)


def test_duplicates_name_the_first_and_the_first_alone_stays(messages_of):
    checks = DialogueChecks(settings())
    first = Dialogue(messages_of("U 話して", f"A {STORY}"), id="a:1")
    same = Dialogue(messages_of("U  話して ", f"A {STORY}\n"), id="b:4")
    near = Dialogue(messages_of("S 別の指示", "U 話して", "A " + STORY.replace("一匹", "二匹")), id="c:2")
    other = Dialogue(messages_of("U 別の話", "A " + STORY[::-1]), id="d:9")
    assert checks(first)[1] is None
    assert checks(same)[1].detail == "says the same as a:1"
    assert checks(near)[1].reason == "near duplicate"
    # What was set aside is not remembered: it is told again by the one that stayed.
    assert checks(near)[1].detail.endswith("like a:1")
    assert checks(other)[1] is None
    assert DialogueChecks(settings())(near)[1] is None


def test_dialogues_of_one_name_are_duplicates_all_the_same(messages_of):
    checks = DialogueChecks(settings())
    dialogue = Dialogue(messages_of("U 問い", "A 答え"), id="same")
    assert [checks(dialogue)[1] is None for _ in range(2)] == [True, False]


def test_personal_data_is_masked_set_aside_or_kept(messages_of):
    dialogue = Dialogue(messages_of("U 連絡先は", "A 03-1234-5678 か taro@nec13b.co.jp です"), id="a:1")
    checks = DialogueChecks(settings())
    masked, objection = checks(dialogue)
    assert objection is None
    assert masked.messages[1]["content"] == "[PHONE] か [EMAIL] です"
    assert (masked.id, dict(checks.masked)) == ("a:1", {"phone": 1, "mail": 1})
    _, objection = DialogueChecks(settings(personal_data="set_aside"))(dialogue)
    assert (objection.reason, objection.detail) == ("personal data", "message 2 (assistant): phone")
    assert DialogueChecks(settings(personal_data="keep"))(dialogue) == (dialogue, None)


def test_what_follows_the_last_answer_is_cut_if_so_wanted(messages_of):
    dialogue = Dialogue(messages_of("U 問い", "A 答え", "U ありがとう"))
    checks = DialogueChecks(settings(cut_unanswered=True))
    kept, objection = checks(dialogue)
    assert (kept.messages, objection, checks.cut) == (dialogue.messages[:2], None, 1)
    unanswered = Dialogue(messages_of("U 問い"))
    assert cut_after_last_answer(unanswered) is unanswered
    assert checks(unanswered)[1].reason == "no answer at the end"


class WordsAsTokens:
    """Counts a token for each character of the rendered dialogue, and two for each message."""

    def apply_chat_template(self, messages, tokenize, return_dict):
        return [0] * sum(len(message["content"]) + 2 for message in messages)


def test_tokens_are_counted_where_there_is_a_tokenizer(messages_of):
    dialogue = Dialogue(messages_of("U 問い", "A 答え"))
    assert DialogueChecks(settings(max_dialogue_tokens=8), WordsAsTokens())(dialogue)[1] is None
    _, objection = DialogueChecks(settings(max_dialogue_tokens=7), WordsAsTokens())(dialogue)
    assert (objection.reason, objection.detail) == ("too long", "8 tokens, at most 7")
    assert DialogueChecks(settings(max_dialogue_tokens=7))(dialogue)[1] is None
