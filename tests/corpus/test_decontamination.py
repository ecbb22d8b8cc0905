"""Questions of evaluation sets are found in documents, copied or reworded, and nothing else is."""

import gzip
import json
import random

import pytest
from datatrove.data import Document as Row
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.corpus.decontamination import DropContaminated, Item, ItemIndex, read_items
from nec13b.corpus.normalisation import normalise
from nec13b.errors import InputError

QUESTIONS = [
    "日本で梅雨がないのは北海道とどこでしょうか。",
    "電子機器で使用される最も主要な電子回路基板の事をなんと言う？",
    "田んぼが広がる風景を何という？",
    "What is the capital city of the country north of Japan?",
]
INDEX = ItemIndex([Item(f"x:{i}", question) for i, question in enumerate(QUESTIONS)])


def found(text):
    return [owner for *_, owner, _ in INDEX.find(text)]


@pytest.mark.parametrize("owner", range(len(QUESTIONS)))
def test_a_copy_is_found_and_marked(sample, owner):
    story = next(document.text for document in sample if document.domain == "ja")
    text = story[:300] + "\n問：" + QUESTIONS[owner] + "\n" + story[300:]
    ((start, end, which, share),) = INDEX.find(text)
    assert (which, share) == (owner, 1.0)
    assert text[start:end] == QUESTIONS[owner].strip("。？?")


@pytest.mark.parametrize(
    "text",
    [
        "日本で、梅雨がないのは、北海道とどこでしょうか",  # other punctuation
        "Q. 電子機器で使用される最も主要な電子回路基板の事をなんといいますか？",  # another ending
        "ＷＨＡＴ is the CAPITAL city of the country\nnorth of Japan",
    ],
)
def test_a_copy_in_another_dress_is_found(text):
    assert len(found(normalise(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "日本で梅雨がないのは北海道です。梅雨前線がそこまで北上しないからです。",
        "電子機器で使用される部品について。回路基板の事を調べた。",
        "田んぼが広がる。風景を見る。",
        "What is the capital?",
        "",
        "短い",
    ],
)
def test_what_only_resembles_a_question_is_not(text):
    assert found(text) == []


def test_the_parts_of_a_question_far_apart_are_not_the_question():
    question = QUESTIONS[1]
    scattered = ("。" + "別の話がここに続いている。" * 40).join(question[i : i + 9] for i in range(0, len(question), 2))
    assert found(scattered) == []


@settings(max_examples=200)
@given(st.text(alphabet="日本で梅雨がないのは北海道とどこでしょうか田んぼ広る風景を何という？。", max_size=120))
def test_every_text_can_be_searched(text):
    for start, end, owner, share in INDEX.find(text):
        assert 0 <= start < end <= len(text)
        assert 0.8 <= share <= 1
        assert owner < len(QUESTIONS)


def test_short_and_doubled_questions_are_left_out():
    index = ItemIndex([Item("a", "何？"), Item("b", QUESTIONS[0]), Item("c", QUESTIONS[0] + "？")])
    assert [item.name for item in index.items] == ["b"]
    assert ItemIndex([]).find("日本で梅雨がないのは北海道とどこでしょうか。") == []


def test_contaminated_documents_are_dropped_with_the_names_of_the_items():
    step = DropContaminated(INDEX, None)
    row = Row(f"クイズ。{QUESTIONS[0]} {QUESTIONS[2]}", "1")
    assert step.filter(row) == (False, "decontamination")
    assert row.metadata == {
        "reason": "decontamination", "detail": "contains 2 items: x:0, x:2", "items": ["x:0", "x:2"],
        "spans": [[4, 25], [27, 41]],
    }  # fmt: skip
    assert step.filter(Row("きょうは雨だ。", "2")) is True


def squad(questions):
    entries = [{"id": f"q{i}", "question": question, "answers": []} for i, question in enumerate(questions)]
    return {"version": "1", "data": [{"title": "t", "paragraphs": [{"context": "文脈。", "qas": entries}]}]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("set.jsonl", "\n".join(json.dumps({"q_id": f"q{i}", "question": q}) for i, q in enumerate(QUESTIONS))),
        ("set.jsonl", "\n".join(json.dumps({"id": f"q{i}", "text": q}) for i, q in enumerate(QUESTIONS))),
        ("set.jsonl", "\n".join(json.dumps({"question_id": f"q{i}", "turns": [q]}) for i, q in enumerate(QUESTIONS))),
        ("set.json", json.dumps([{"id": f"q{i}", "prompt": q} for i, q in enumerate(QUESTIONS)])),
        ("set.json", json.dumps(squad(QUESTIONS))),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_the_forms_of_evaluation_sets(tmp_path, name, content, packed):
    path = tmp_path / (name + ".gz" if packed else name)
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    items = read_items(path)
    assert [item.question for item in items] == QUESTIONS
    assert [item.name for item in items] == [f"set:q{i}" for i in range(len(QUESTIONS))]


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', "not json", '{"data": 3}', "[1, 2]", "\xff"])
def test_what_is_no_evaluation_set_is_refused(tmp_path, content):
    path = tmp_path / "set.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"set\.json"):
        read_items(path)
    with pytest.raises(InputError, match="cannot read evaluation items"):
        read_items(tmp_path / "nowhere.json")


def test_real_evaluation_sets(data):
    names = (
        "jglue/jsquad-v1.3-valid.json.gz",
        "jglue/jcommonsenseqa-v1.3-valid.json.gz",
        "rakuda/rakuda_v2_questions.jsonl",
    )
    items = [item for name in names for item in read_items(data / name)]
    assert len(items) == 4442 + 1119 + 40
    index = ItemIndex(items)
    assert len(index.not_checked) < 0.005 * len(items)
    rng = random.Random(0)
    for item in rng.sample(index.items, 200):
        is_long = index.items.index(item) in index.sizes  # found by itself; a short one with what follows it
        beside = "" if is_long else " ".join(item.choices or item.answers)
        text = normalise(f"つぎの問いに答えよ。「{item.question}」{beside}")
        assert item in [index.items[owner] for *_, owner, _ in index.find(text)]


SHORT = [
    Item("q:0", "鹿とは何？", choices=("動物", "植物", "鉱物")),
    Item("q:1", "国の首都は？", answers=("東京", "とうきょう")),
    Item("q:2", "国の首都は？", choices=("京都", "奈良")),
    Item("q:3", "何？", choices=("あ", "い")),
    Item("q:4", "それは何だろう？"),
]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("問1 鹿とは何？ ①動物 ②植物 ③鉱物", ["q:0"]),
        ("鹿とは何、動物の一種で、植物を食べる。", []),  # one choice is missing
        ("鹿とは何" + "遠い話が続く。" * 40 + "動物、植物、鉱物", []),  # too far away
        ("あの国の首都は、東京である。", ["q:1"]),
        ("国の首都は？ 京都 奈良 とうきょう", ["q:1", "q:2"]),
        ("何？ あ い それは何だろう？", []),
    ],
)
def test_short_questions_count_where_their_choices_or_an_answer_follow(text, names):
    index = ItemIndex(SHORT)
    assert sorted(index.items[owner].name for *_, owner, _ in index.find(text)) == names
    assert [item.name for item in index.not_checked] == ["q:3", "q:4"]
    for start, end, owner, _ in index.find(text):
        assert text[start:end] == index.items[owner].question.strip("？")
