"""What is asked for does not change between runs, covers the seeds evenly, and names what the prompts need."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.augmentation.augmentation_config import AugmentDialoguesConfig
from nec13b.augmentation.augmentation_plan import planned_round
from nec13b.augmentation.augmentation_prompts import LANGUAGES, OPERATIONS, OWN_SETS, prompts_in
from nec13b.augmentation.known_texts import KnownTexts
from nec13b.augmentation.seed_dialogues import read_seeds
from nec13b.corpus import Rejections
from nec13b.dialogues.dialogue import Dialogue
from nec13b.dialogues.dialogue_sources import parse_dialogue_sources
from nec13b.errors import InputError

WEIGHTS = dict.fromkeys(OPERATIONS, 1.0)


def seeds(number: int) -> list[Dialogue]:
    return [Dialogue([{"role": "user", "content": str(n)}], id=str(n)) for n in range(number)]


@given(st.integers(1, 30), st.integers(1, 90), st.integers(0, 5))
def test_a_plan_is_the_same_again_and_goes_through_all_seeds(number, items, seed):
    plan = list(planned_round(1, items, seeds(number), WEIGHTS, seed))
    assert plan == list(planned_round(1, items, seeds(number), WEIGHTS, seed))
    assert [item.item for item in plan] == list(range(1, items + 1))
    counts = Counter(item.seed.id for item in plan)
    assert max(counts.values()) - min((counts[str(n)] for n in range(number)), default=0) <= 1
    shorter = list(planned_round(1, max(1, items - 1), seeds(number), WEIGHTS, seed))
    assert plan[: len(shorter)] == shorter


def test_operations_come_by_their_weights():
    plan = planned_round(1, 3000, seeds(3), {"persona": 3.0, "new_topic": 1.0, "further_turns": 0.0}, 0)
    counts = Counter(item.operation for item in plan)
    assert counts.keys() == {"persona", "new_topic"}
    assert 0.7 < counts["persona"] / 3000 < 0.8


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", OWN_SETS)
def test_prompts_have_everything_filled_in(language, name):
    prompts = prompts_in(language, name)
    messages = [
        {"role": "system", "content": "SYSTEM"}, {"role": "user", "content": "費用は$5と${x}"},
        {"role": "assistant", "content": "ANSWER"},
    ]  # fmt: skip
    for operation in OPERATIONS:
        prompt = prompts.for_question(operation, messages, "TOPIC", "PERSONA")
        assert "費用は$5と${x}" in prompt
        assert ("ANSWER" in prompt) == (operation == "further_turns")
        assert ("TOPIC" in prompt) == (operation == "new_topic")
        assert ("PERSONA" in prompt) == (operation == "persona")
        assert "SYSTEM" not in prompt
    grade = prompts.for_grade(
        [*messages, {"role": "user", "content": "NEXT"}, {"role": "assistant", "content": "LAST"}]
    )
    assert "ANSWER" in grade.split("NEXT")[0]
    assert "LAST" in grade.split("NEXT")[1]
    assert len({prompts.digest(name) for name in prompts.templates}) == 7
    chosen = {prompts.subjects(n / 5000) for n in range(5000)}
    assert len(chosen) == len(prompts.topics) * len(prompts.personas)


def test_prompts_of_the_users_own(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the prompts .*ja\.yaml"):
        prompts_in("ja", str(tmp_path))
    own = {name: f"{name}: $instruction" for name in OPERATIONS} | {"user": "客", "assistant": "店"}
    path = tmp_path / "ja.yaml"
    for grade, reason in (("", "grade is missing"), ("$wrong", r"\$wrong is not filled in"), ("5 $", "a lone")):
        path.write_text(json.dumps(own | {"grade": grade}))
        with pytest.raises(InputError, match=reason):
            prompts_in("ja", str(tmp_path))
    path.write_text(json.dumps(own | {"grade": "$question $answer", "topics": ["茶"], "personas": ["僧"]}))
    assert prompts_in("ja", str(tmp_path)).subjects(0.99) == ("茶", "僧")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"operations": "persona=1,dance=2"}, "dance"), ({"operations": "persona=0"}, "above 0"),
        ({"operations": "persona=-1"}, "negative"), ({"items": 0}, "items"), ({"min_score": 6}, "min_score"),
        ({"generator": "magic"}, "generator"), ({"top_p": 0}, "top_p"), ({"seeds": []}, "seeds is empty"),
        ({"near_duplicate_similarity": 0}, "near_duplicate_similarity"), ({"budget": -1}, "budget"),
        ({"request_options": {"extra_headers": {"Authorization": "x"}}}, "headers"),
        ({"max_attempts": 0}, "max_attempts"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(changes, reason):
    with pytest.raises(InputError, match=reason):
        AugmentDialoguesConfig(**changes)


def test_seeds_are_read_with_a_reason_for_each_that_is_none(tmp_path):
    user, assistant = {"role": "user", "content": "こんにちは"}, {"role": "assistant", "content": "はい、こんにちは"}
    hello = {"role": "user", "content": "Hello there, how are you?"}
    dialogues = [
        [user, assistant], [user, assistant], [assistant, user], [user], [user, assistant, {**user, "content": "次は"}],
        [user, {**assistant, "content": " "}], [{**user, "content": "長" * 5000}, assistant], [hello, assistant],
        [user, assistant, {"role": "tool", "content": "42"}, assistant],
    ]  # fmt: skip
    rows = [json.dumps({"messages": messages}) for messages in dialogues]
    rows += [json.dumps({"messages": [hello, {**assistant, "content": "Bien."}], "language": "fr"}), "{broken"]
    (tmp_path / "seeds.jsonl").write_text("\n".join(rows) + "\n")
    rejections = Rejections(tmp_path / "rejected.jsonl")
    found = read_seeds(parse_dialogue_sources(str(tmp_path / "seeds.jsonl")), 4000, rejections)
    assert [(len(seed.messages), seed.language) for seed in found] == [(2, "ja"), (2, "ja"), (2, "ja")]
    lines = {json.loads(line)["line"]: json.loads(line)["reason"] for line in (tmp_path / "rejected.jsonl").open()}
    assert lines.keys() == {2, 3, 4, 6, 7, 9, 10, 11}
    assert lines[2] == "duplicate"
    assert "fr" in lines[10]
    (tmp_path / "none.jsonl").write_text("{broken\n")
    with pytest.raises(InputError, match="broken JSON"):
        read_seeds(parse_dialogue_sources(str(tmp_path / "none.jsonl")), 4000, Rejections())


def test_near_duplicates_of_seeds_and_items():
    known = KnownTexts(0.6)
    question, answer = "港町の朝市で買った魚を、次の日まで保つ方法を教えてください。", "紙に包んで冷蔵庫へ。"
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    known.add_seed(Dialogue(turns, id="seed"))

    def like(operation, *contents):
        fault = known.twin(operation, [{"role": "user", "content": content} for content in contents])
        return fault and fault.reason

    assert like("persona", question) == "near_duplicate_of_seed"
    assert like("persona", question.replace("教えて", "教えて") + "！") == "near_duplicate_of_seed"
    assert like("persona", "港町の朝市で買った花を、次の冬まで咲かせる方法は何でしょうか。") is None
    assert like("further_turns", question, answer) == "near_duplicate_of_seed"
    assert (
        like("further_turns", question, "塩を振って一晩干し、朝になったら炭火で焼いて食べるのがいちばんです。") is None
    )
    known.add_item("item", "persona", [{"role": "user", "content": "なぜ？"}])
    assert like("persona", "なぜ！") == "near_duplicate"
    assert like("persona", "いつ？") is None
