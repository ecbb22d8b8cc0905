"""Dialogues come out of every kind of file and entry; what cannot be used is told with its file and line."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from nec13b.corpus import Rejections
from nec13b.dialogues.dialogue_sources import parse_dialogue_sources, read_dialogues
from nec13b.dialogues.row_sources import sources_identity
from nec13b.errors import InputError


def read(entries, rejections=None, most=1000):
    rejections = rejections if rejections is not None else Rejections()
    return [placed.dialogue for placed in read_dialogues(parse_dialogue_sources(entries), rejections, most)]


@pytest.fixture
def rows(messages_of):
    return [
        {"messages": messages_of("U 海は？", "A 青い。"), "lang": "ja", "license": "CC0-1.0"},
        {"conversations": [{"from": "human", "value": "空は？"}, {"from": "gpt", "value": "高い。"}]},
        {"instruction": "山は？", "input": "", "output": "遠い。"},
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.json", "a.json.gz"])
def test_every_kind_of_file(tmp_path, rows, write_rows, name):
    path = write_rows(tmp_path / name.removesuffix(".gz"), rows)
    if name == "a.json.gz":
        import gzip

        (tmp_path / name).write_bytes(gzip.compress((tmp_path / "a.json").read_bytes()))
    elif name.endswith(".gz"):
        write_rows(tmp_path / name, rows)
    path = str(tmp_path / name)
    rejections = Rejections()
    dialogues = read(path, rejections)
    assert [d.messages[1]["content"] for d in dialogues] == ["青い。", "高い。", "遠い。"]
    assert (dialogues[0].language, dialogues[0].licence, dialogues[0].source) == ("ja", "CC0-1.0", "a")
    lines = [1, 2, 3] if ".jsonl" in name else [2, 16, 28]  # of an array, where each item begins
    assert [d.id for d in dialogues] == [f"a:{line}" for line in lines]
    assert not rejections.counts


def test_parquet_with_lists_of_messages(tmp_path, rows):
    table = pyarrow.Table.from_pylist([{"messages": rows[0]["messages"], "lang": "ja", "other": 1}])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    (dialogue,) = read(str(tmp_path / "a.parquet"))
    assert (dialogue.messages, dialogue.language) == (rows[0]["messages"], "ja")


def test_a_hub_data_set_is_read_by_the_same_code(tmp_path, rows, write_rows):
    write_rows(tmp_path / "train.jsonl", rows[:1] * 2)
    dialogues = read(f"hub:{tmp_path},label=hub,licence=MIT")
    assert [d.id for d in dialogues] == ["hub:1", "hub:2"]
    assert [d.licence for d in dialogues] == ["CC0-1.0", "CC0-1.0"]


def test_options_of_an_entry(tmp_path, write_rows):
    path = write_rows(tmp_path / "faq.jsonl", [{"toi": "海は？", "kotae": "青い。"}])
    (dialogue,) = read(f"{path},prompt_field=toi,answer_field=kotae,licence=MIT,language=ja,label=mine")
    assert (dialogue.source, dialogue.licence, dialogue.language, dialogue.id) == ("mine", "MIT", "ja", "mine:1")
    path = write_rows(tmp_path / "both.jsonl", [{"messages": [], "prompt": "海は？", "completion": "青い。"}])
    assert read(path)[0].messages == read(f"{path},shape=prompt")[0].messages != []


def test_files_of_a_folder_and_their_names(tmp_path, rows, write_rows):
    (tmp_path / "deep").mkdir()
    write_rows(tmp_path / "deep" / "b.jsonl", rows[:1])
    write_rows(tmp_path / "a.json", rows[1:2])
    (tmp_path / "notes.txt").write_text("not read")
    assert [d.id for d in read(f"{tmp_path},label=all")] == ["all/a.json:2", "all/deep/b.jsonl:1"]


def test_broken_rows_are_told_with_their_lines_and_reading_goes_on(tmp_path, rows, messages_of):
    good = json.dumps(rows[0], ensure_ascii=False).encode()
    surrogate = b'{"messages": [{"role": "user", "content": "\\ud800"}, {"role": "assistant", "content": "x"}]}'
    lines = [good, b"{oops", b'{"a": 1}', b"\xff\xfe", surrogate, b'"text"', b"", good]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    rejections = Rejections(tmp_path / "rejected.jsonl")
    assert [d.id for d in read(str(tmp_path / "a.jsonl"), rejections)] == ["a:1", "a:8"]
    noted = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert [(row["line"], row["reason"]) for row in noted] == [
        (2, "broken JSON"), (3, "not a dialogue"), (4, "invalid UTF-8"), (5, "lone surrogate"), (6, "not a dialogue"),
    ]  # fmt: skip
    assert noted[1]["detail"] == "no known shape; it has the fields a"


def test_a_broken_item_of_an_array_does_not_take_the_next_ones_with_it(tmp_path):
    text = '[\n{"prompt": "一", "completion": "1"},\n{"prompt": oops},\n{"prompt": "二", "completion": "2"}\n'
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    rejections = Rejections(tmp_path / "rejected.jsonl")
    assert [d.id for d in read(str(tmp_path / "a.json"), rejections)] == ["a:2", "a:4"]
    assert json.loads((tmp_path / "rejected.jsonl").read_text())["line"] == 3


def test_json_that_is_lines_of_objects_is_read_as_such(tmp_path, rows):
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "a.json").write_text("\ufeff" + text, encoding="utf-8")
    assert [d.id for d in read(str(tmp_path / "a.json"))] == ["a:1", "a:2", "a:3"]
    (tmp_path / "empty.json").write_text(" [ ] \n")
    assert read(str(tmp_path / "empty.json")) == []


def test_an_array_of_bare_lists_of_messages(tmp_path, rows):
    (tmp_path / "a.json").write_text(json.dumps([row["messages"] for row in rows[:1] * 2]))
    assert len(read(str(tmp_path / "a.json"))) == 2


def test_trees_nested_and_as_a_table_over_two_files(tmp_path, write_rows):
    answers = [{"message_id": "b", "text": "甲", "role": "assistant", "rank": 1},
               {"message_id": "c", "text": "乙", "role": "assistant", "rank": 0}]  # fmt: skip
    question = {"message_id": "a", "text": "問い", "role": "prompter", "lang": "ja"}
    nested = write_rows(tmp_path / "n.jsonl", [{"message_tree_id": "a", "prompt": {**question, "replies": answers}}])
    assert [(d.id, d.messages[-1]["content"], d.language) for d in read(nested)] == [("n:1", "乙", "ja")]
    assert [(d.id, d.messages[-1]["content"]) for d in read(f"{nested},branches=all")] == [
        ("n:1#1", "乙"),
        ("n:1#2", "甲"),
    ]
    (tmp_path / "t").mkdir()
    write_rows(tmp_path / "t" / "1.jsonl", [{**row, "parent_id": "a"} for row in answers])
    write_rows(tmp_path / "t" / "2.jsonl", [{**question, "parent_id": None}])
    entry = f"{tmp_path / 't'},branches=all"
    assert [d.id for d in read(entry)] == ["t/1.jsonl:2", "t/1.jsonl:1"]
    rejections = Rejections()
    write_rows(tmp_path / "t" / "1.jsonl", [])
    assert (read(entry, rejections), dict(rejections.counts)) == ([], {"unanswered": 1})


def test_what_an_amplification_wrote_keeps_its_name(tmp_path, rows, write_rows):
    row = {**rows[0], "id": "seed-7/harder", "provenance": {"seed": "7", "model": "m"}}
    (dialogue,) = read(write_rows(tmp_path / "a.jsonl", [row]))
    assert (dialogue.id, dialogue.provenance) == ("seed-7/harder", row["provenance"])


def test_the_sample_is_in_order_and_every_code_block_of_it_compiles():
    import ast
    import re

    dialogues = read("sample", most=100_000)
    assert len(dialogues) >= 150
    assert {d.language for d in dialogues} == {"ja", "en"}
    assert {d.licence for d in dialogues} == {"Apache-2.0"}
    blocks = [
        block
        for d in dialogues
        for m in d.messages
        for block in re.findall(r"```python\n(.*?)```", m["content"], re.DOTALL)
    ]
    assert len(blocks) >= 20
    for block in blocks:
        ast.parse(block)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "dialogues is empty"),
        ("nowhere.jsonl", "dialogues path nowhere.jsonl does not exist"),
        ("sample,shape=sharegtp", "shape must be one of messages, sharegpt"),
        ("sample,branches=none", "branches must be one of best, all"),
        ("sample,shapes=a", "dialogues entry 'sample,shapes=a': unknown option 'shapes'"),
        (["sample,label=a", "sample,label=a"], "two dialogues entries have the label 'a'"),
    ],
)
def test_wrong_entries_are_refused_before_any_work(entries, message):
    with pytest.raises(InputError, match=message):
        parse_dialogue_sources(entries)


def test_files_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n")
    with pytest.raises(InputError, match=r"unknown type; use \.jsonl, \.parquet or \.json"):
        parse_dialogue_sources(str(tmp_path / "a.csv"))
    with pytest.raises(InputError, match="holds no JSONL, Parquet or JSON file"):
        parse_dialogue_sources(str(tmp_path))


def test_the_identity_changes_with_a_file_and_not_otherwise(tmp_path, rows, write_rows):
    path = write_rows(tmp_path / "a.jsonl", rows[:1])
    before = sources_identity(parse_dialogue_sources([path, "sample"]))
    assert before == sources_identity(parse_dialogue_sources([path, "sample"]))
    write_rows(tmp_path / "a.jsonl", rows)
    assert before != sources_identity(parse_dialogue_sources([path, "sample"]))


def test_a_provenance_that_cannot_be_written_is_told(tmp_path):
    row = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "provenance": '
    (tmp_path / "a.jsonl").write_text(row + '{"model": {"name": "\\ud800"}}}\n')
    rejections = Rejections()
    assert read(str(tmp_path / "a.jsonl"), rejections) == []
    assert dict(rejections.counts) == {"lone surrogate": 1}
