"""JGLUE's files, whole and damaged."""

import functools
import gzip
import http.server
import json
import shutil
import threading

import pytest

from nec13b.errors import InputError
from nec13b.jglue.questions import (
    JCQA,
    JSQUAD,
    SAMPLE_FOLDER,
    identity,
    question_files,
    read_jcqa,
    read_jsquad,
    read_questions,
)


def test_the_sample_has_ten_questions_of_each():
    for name in (JSQUAD, JCQA):
        found = read_questions(name, "sample")
        assert len(found.asked) == 10
        assert not {row["question"] for row in found.asked} & {row["question"] for row in found.pool}
    assert sorted(row["label"] for row in found.asked) == sorted([0, 1, 2, 3, 4] * 2)


def test_the_published_questions_are_known(data):
    jsquad, jcqa = (read_questions(name, str(data / "jglue")) for name in (JSQUAD, JCQA))
    assert (len(jsquad.asked), len(jcqa.asked), len(jcqa.pool)) == (4442, 1119, 8939)
    assert "JSQuAD's validation questions" in jsquad.asked_from
    assert "JCommonsenseQA's validation questions" in jcqa.asked_from
    assert jsquad.asked[0]["context"].startswith("梅雨（つゆ、ばいう）は")  # without "梅雨 [SEP] "
    changed = [{**jcqa.asked[0], "label": 0}, *jcqa.asked[1:]]
    assert identity(changed) != identity(jcqa.asked)


def test_the_layout_of_the_repository_is_found(tmp_path, data):
    for split, file in (("valid", "jsquad-v1.3-valid"), ("train", "jsquad-v1.3-test")):
        folder = tmp_path / "jsquad-v1.1"
        folder.mkdir(exist_ok=True)
        text = gzip.decompress((data / "jglue" / f"{file}.json.gz").read_bytes())
        (folder / f"{split}-v1.1.json").write_bytes(text)
    assert question_files(str(tmp_path), JSQUAD).keys() == {"valid", "train"}
    found = read_questions(JSQUAD, str(tmp_path))
    assert found.pool_from == "train-v1.1.json"
    assert len(found.asked) == 4442


def test_the_folder_of_the_environment_is_taken(monkeypatch):
    monkeypatch.setenv("NEC13B_JGLUE", "sample")
    assert read_questions(JCQA).asked_from.startswith("jcommonsenseqa-sample-valid.json")


def test_without_a_folder_the_hub_is_asked(monkeypatch):
    monkeypatch.delenv("NEC13B_JGLUE", raising=False)
    with pytest.raises(InputError, match=r"sbintuitions/JSQuAD.*NEC13B_JGLUE"):
        read_questions(JSQUAD)


def test_rows_of_the_hub_are_those_of_the_files(monkeypatch):
    """The Hub's copies have answers as one mapping of lists; this was tried on rows of that form, not on the Hub."""
    import datasets

    rows = {}
    for split, file in (("validation", "valid"), ("train", "train")):
        data = json.loads((SAMPLE_FOLDER / f"jsquad-sample-{file}.json").read_text("utf-8"))["data"]
        rows[split] = [
            {"id": q["id"], "title": a["title"], "context": p["context"], "question": q["question"],
             "answers": {"text": [x["text"] for x in q["answers"]], "answer_start": [0] * len(q["answers"])}}
            for a in data for p in a["paragraphs"] for q in p["qas"]
        ]  # fmt: skip
    monkeypatch.delenv("NEC13B_JGLUE", raising=False)
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split, revision: rows[split])
    of_hub, of_files = read_questions(JSQUAD, revision="abc"), read_questions(JSQUAD, "sample")
    assert (of_hub.asked, of_hub.pool) == (of_files.asked, of_files.pool)
    assert of_hub.pool_from == "sbintuitions/JSQuAD@abc:train"


@pytest.fixture
def repository(tmp_path):
    """A server with the sample's files under the names of JGLUE's repository; its address."""
    for name in (JSQUAD, JCQA):
        for split in ("valid", "train"):
            folder = tmp_path / "served" / f"{name}-v1.1"
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(SAMPLE_FOLDER / f"{name}-sample-{split}.json", folder / f"{split}-v1.1.json")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{{name}}-v1.1/{{split}}-v1.1.json"
        server.shutdown()


@pytest.mark.parametrize("name", [JSQUAD, JCQA])
def test_where_the_hub_has_nothing_the_files_of_the_repository_are_taken(name, repository, monkeypatch, tmp_path):
    import datasets

    def nothing_there(*_, **__):
        raise FileNotFoundError("no such data set")

    monkeypatch.delenv("NEC13B_JGLUE", raising=False)
    monkeypatch.setattr(datasets, "load_dataset", nothing_there)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", str(tmp_path / "downloads"))
    monkeypatch.setattr("nec13b.jglue.questions.RAW_FILES", repository)
    found, sample = read_questions(name), read_questions(name, "sample")
    assert (found.asked, found.pool) == (sample.asked, sample.pool)
    assert found.pool_from.endswith(f"{name}-v1.1/train-v1.1.json")
    with pytest.raises(InputError, match="abc"):  # a commit of the Hub's copy is not another thing
        read_questions(name, revision="abc")


GOOD = {"q_id": 1, "question": "問い", **{f"choice{i}": str(i) for i in range(5)}, "label": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no question"),
        ("{", "line 1 is not JSON"),
        (json.dumps(GOOD) + "\n" + json.dumps({**GOOD, "label": 5}), "line 2 has no label from 0 to 4"),
        (json.dumps({**GOOD, "choice3": " "}), "line 1 has no text in its field 'choice3'"),
        (json.dumps({**GOOD, "question": None}), "line 1 has no text in its field 'question'"),
    ],
)
def test_a_damaged_choice_question_is_told(tmp_path, text, said):
    (tmp_path / "x.json").write_text(text, "utf-8")
    with pytest.raises(InputError, match=said):
        read_jcqa(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "is not in SQuAD's form"),
        ({"data": [{"title": "x"}]}, "is not in SQuAD's form: KeyError 'paragraphs'"),
        ({"data": []}, "holds no question"),
        (
            {"data": [{"title": "x", "paragraphs": [{"context": "c", "qas": [{"id": "1", "question": "q"}]}]}]},
            "question 1 has no text in its field 'answers'",
        ),
    ],
)
def test_a_damaged_passage_file_is_told(tmp_path, value, said):
    (tmp_path / "x.json").write_text(json.dumps(value), "utf-8")
    with pytest.raises(InputError, match=said):
        read_jsquad(tmp_path / "x.json")


def test_a_truncated_gz_is_told(tmp_path):
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(b"{}")[:-5])
    with pytest.raises(InputError, match="cannot read"):
        read_jcqa(tmp_path / "x.json.gz")


def test_missing_and_doubled_files_are_told(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        question_files(str(tmp_path / "nowhere"), JCQA)
    (tmp_path / "jcommonsenseqa-v1.3-valid.json").touch()
    with pytest.raises(InputError, match="lacks files of jcommonsenseqa"):
        question_files(str(tmp_path), JCQA)
    (tmp_path / "jcommonsenseqa-v1.1-valid.json.gz").touch()
    with pytest.raises(InputError, match="in several files"):
        question_files(str(tmp_path), JCQA)
