"""Questions in training text are found, and where; as a user runs it."""

import json
import runpy
import sys

import pytest

from nec13b.jglue.questions import JCQA, JSQUAD, read_questions


@pytest.fixture
def look(root, monkeypatch, capfd, tmp_path):
    """Runs the script with flags: its status, what it said, and the result, if any."""

    def run(*flags):
        script = root / "evaluation" / "contamination.py"
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, [*flags, "--output_dir", tmp_path / "out"])])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
        said = capfd.readouterr()
        path = tmp_path / "out" / "contamination.json"
        return ended.value.code, said.out + said.err, json.loads(path.read_text("utf-8")) if path.is_file() else None

    return run


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def test_the_sample_holds_none_of_the_questions(look):
    status, said, result = look()
    assert status == 0, said
    assert result["texts"] > 100
    assert not any(result["found"].values())
    assert "jsquad-sample-valid.json: 0 of 10 (0.00%)" in said


def test_questions_in_documents_and_dialogues_are_found(look, tmp_path):
    jsquad, jcqa = (read_questions(name, "sample").asked for name in (JSQUAD, JCQA))
    chosen, asked = jcqa[0], jsquad[3]
    corpus = write(
        tmp_path / "corpus.jsonl",
        [
            {"text": "関係のない文章です。" * 10},
            {"text": f"問題集より。{chosen['question']}ア{'　'.join(chosen['choices'])}"},
            {"text": "味噌は、蒸した大豆に麹と塩を混ぜ、寝かせて作る調味料である。"},  # the subject is no question
            {"text": 5},
        ],
    )
    dialogues = write(
        tmp_path / "chat.jsonl",
        [{"messages": [{"role": "user", "content": asked["question"].replace("か。", "か？")},
                       {"role": "assistant", "content": "重石です。"}]}],
    )  # fmt: skip
    status, said, result = look("--corpus", corpus, "--dialogues", dialogues)
    assert status == 0, said
    found = result["found"]
    assert list(found["jcommonsenseqa-sample-valid.json"]) == [chosen["id"]]
    assert list(found["jsquad-sample-valid.json"]) == [asked["id"]]
    assert found["jcommonsenseqa-sample-valid.json"][chosen["id"]]["places"][0]["text"] == "corpus:2"
    assert found["jsquad-sample-valid.json"][asked["id"]]["texts"] == 1
    assert result["set_aside"] == {"no text in field 'text'": 1}
    assert json.loads((tmp_path / "out" / "run.json").read_text())["counts"]["texts"] == 4


def test_any_file_of_questions_will_do(look, tmp_path):
    question = "日本で最も高い山はどこにありますか、理由と共に教えてください。"
    items = write(tmp_path / "mine.jsonl", [{"question_id": 7, "text": question}])
    corpus = write(tmp_path / "corpus.jsonl", [{"text": question}])
    status, said, result = look("--corpus", corpus, "--items", items)
    assert status == 0, said
    assert list(result["found"]["mine.jsonl"]) == ["7"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--corpus", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--items", "nowhere.json"], "cannot read evaluation items from nowhere.json"),
        (["--items", "."], "lacks files of jsquad"),
    ],
)
def test_a_mistake_is_said_in_a_line(look, flags, said):
    status, output, _ = look(*flags)
    assert status == 2
    assert said in output
    assert "Traceback" not in output
