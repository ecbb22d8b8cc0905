"""The record of a run holds what it should and no secret."""

import json
from dataclasses import dataclass

import pytest

from nec13b.errors import InputError
from nec13b.run_record import RunRecord, read_json, write_json


@dataclass
class Config:
    tokenizer: str = "runs/tokenizer"
    tokens_per_batch: int = 4096
    hub_token: str = "hf_secret"
    api_key: str = "sk-secret"
    nested: dict = None


def test_a_record_answers_what_was_run_and_leaves_secrets_out(tmp_path):
    record = RunRecord("stage", Config(nested={"password": "secret", "rate": 1.0}), seed=3)
    record.update("counts", documents=5)
    record.update("own", value=1)
    text = record.write(tmp_path).read_text()
    values = json.loads(text)
    assert "secret" not in text
    assert values["config"]["tokenizer"] == "runs/tokenizer"
    assert values["config"]["tokens_per_batch"] == 4096
    assert values["config"]["nested"] == {"rate": 1.0}
    assert (values["stage"], values["seed"], values["counts"], values["own"]) == (
        "stage",
        3,
        {"documents": 5},
        {"value": 1},
    )
    assert values["versions"]["python"]
    assert values["timings_seconds"]["total"] >= 0
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(path, {"new": object()})
    assert json.loads(path.read_text()) == {"old": 1}


@pytest.mark.parametrize("content", [None, "{", "[1]", b"\xff"])
def test_reading_says_which_recipe_makes_the_file(tmp_path, content):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match="the_recipe"):
        read_json(path, "the_recipe.py")
