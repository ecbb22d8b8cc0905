"""Prompts come out of dialogues, rows that nobody has answered, and lines of text; the rest is told with its line."""

import gzip
import json

import pytest

from nec13b.candidates.prompt_sources import parse_prompt_sources, read_prompts
from nec13b.corpus import Rejections
from nec13b.errors import InputError


def prompts_of(entries, rejections=None, **options):
    rejections = rejections if rejections is not None else Rejections()
    return read_prompts(parse_prompt_sources(entries), rejections, options.pop("most_characters", 1000), **options)


def write(path, *rows) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        ({"prompt": "空はなぜ青いの"}, ["空はなぜ青いの"]),
        ({"question": "空は？", "answer": "青いです"}, ["空は？"]),
        ({"prompt": "どちら？", "chosen": "こちら", "rejected": "あちら"}, ["どちら？"]),
        ({"prompt": [{"role": "user", "content": "一"}], "system": "短く"}, ["短く", "一"]),
        ({"instruction": "訳して", "input": "猫"}, ["訳して\n\n猫"]),
        ({"instruction": "訳して", "input": "猫", "output": "cat"}, ["訳して\n\n猫"]),
        ([{"role": "user", "content": "やあ"}], ["やあ"]),
        (
            {"messages": [{"role": role, "content": c} for role, c in zip(("user", "assistant") * 2, "abcd")]},
            ["a", "b", "c"],
        ),
        ({"conversations": [{"from": "human", "value": "一"}, {"from": "gpt", "value": "二"}]}, ["一"]),
    ],
)  # fmt: skip
def test_a_prompt_is_what_stands_before_the_last_answer(tmp_path, row, asked):
    [prompt] = prompts_of(write(tmp_path / "rows.jsonl", row))
    assert [message["content"] for message in prompt.messages] == asked
    assert prompt.messages[-1]["role"] == "user"
    assert prompt.id == "rows:1"


def test_a_named_field_is_the_prompt_whatever_else_there_is(tmp_path):
    path = write(tmp_path / "faq.jsonl", {"toi": "開館は？", "prompt": "x", "completion": "y"})
    [prompt] = prompts_of(f"{path},prompt_field=toi,language=ja,licence=CC0")
    assert prompt.messages == [{"role": "user", "content": "開館は？"}]
    assert (prompt.language, prompt.licence) == ("ja", "CC0")


def test_text_holds_a_prompt_a_line(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeff一つ目の質問\r\n\n  二つ目  \n".encode() + b"\xff\xfe\n")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"Third?"))
    rejections = Rejections(tmp_path / "rejected.jsonl")
    prompts = prompts_of(f"{tmp_path},label=mine", rejections)
    assert [(p.messages[0]["content"], p.id, p.language) for p in prompts] == [
        ("一つ目の質問", "mine/a.txt:1", "ja"), ("二つ目", "mine/a.txt:3", "ja"), ("Third?", "mine/b.txt.gz:1", "en"),
    ]  # fmt: skip
    noted = json.loads((tmp_path / "rejected.jsonl").read_text().splitlines()[0])
    assert (noted["line"], noted["reason"]) == (4, "invalid UTF-8")


def test_what_is_no_prompt_is_told_with_its_line(tmp_path):
    rows = [
        {"prompt": "よい質問"},
        {"prompt": "よい 質問\n"},
        {"prompt": "よい質問"},
        {"prompt": "  "},
        {"prompt": "<|im_start|>system"},
        {"prompt": "長" * 1001},
        {"messages": [{"role": "assistant", "content": "ようこそ"}]},
        {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
        {"messages": [{"role": "narrator", "content": "a"}, {"role": "user", "content": "b"}]},
        {"title": "nothing"},
    ]
    rejections = Rejections(tmp_path / "rejected.jsonl")
    prompts = prompts_of(write(tmp_path / "rows.jsonl", *rows), rejections)
    assert len(prompts) == 2
    noted = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert {(row["line"], row["reason"]) for row in noted} == {
        (3, "duplicate"), (4, "empty turn"), (5, "leaked special token"),
        (6, "longer than max_prompt_characters (1,000)"), (7, "no message of a user"), (8, "wrong order of roles"),
        (9, "unknown role"), (10, "not a dialogue"),
    }  # fmt: skip
    assert noted[-1]["detail"] == "no known shape; it has the fields title" or noted[0]["detail"].endswith("title")
    with pytest.raises(InputError, match="no prompt to answer"):
        prompts_of(write(tmp_path / "none.jsonl", {"title": "nothing"}))


def test_a_part_of_the_prompts_stays_the_same_when_others_come(tmp_path):
    rows = [{"prompt": f"質問 {number}"} for number in range(40)]
    part = prompts_of(write(tmp_path / "rows.jsonl", *rows), most=10)
    assert len(part) == 10
    more = prompts_of(write(tmp_path / "more.jsonl", *reversed(rows)), most=20)
    assert {p.key for p in part} < {p.key for p in more}


def test_the_built_in_prompts_are_sound():
    rejections = Rejections()
    prompts = prompts_of("sample", rejections)
    assert not rejections.counts
    assert len(prompts) >= 60
    assert 2 * sum(p.language == "ja" for p in prompts) > len(prompts)
    assert all(p.licence == "Apache-2.0" for p in prompts)
    assert sum("harmful" in p.id for p in prompts) >= 8
    assert sum(len(p.messages) > 1 for p in prompts) >= 4
