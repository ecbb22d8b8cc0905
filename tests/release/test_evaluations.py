"""The card reports what evaluations measured of the exported model, and refuses what they measured of another."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from nec13b import Nec13bForCausalLM
from nec13b.corpus import parse_sources, read_documents
from nec13b.errors import InputError
from nec13b.pretraining import write_token_shards
from nec13b.rakuda.answer_generation import answer_questions
from nec13b.rakuda.rakuda_config import RakudaAnswersConfig
from nec13b.release.evaluations import read_evaluations
from nec13b.release.export_config import ExportConfig
from nec13b.release.exporting import export

SIDE_FLAGS = ("--max_new_tokens", "4", "--pairs", "5", "--held_out_fraction", "0.3", "--max_length", "250")


@pytest.fixture(scope="module")
def models(tiny_checkpoint, tmp_path_factory) -> tuple[str, str]:
    """Two chat models of other weights."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(tiny_checkpoint, folder / "chat")
    shutil.copytree(tiny_checkpoint, folder / "base")
    model = Nec13bForCausalLM.from_pretrained(tiny_checkpoint)
    torch.manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder / "base")
    return str(folder / "chat"), str(folder / "base")


@pytest.fixture(scope="module")
def positions(complete, models, small_corpus, tokenizer, tmp_path_factory) -> Path:
    """Losses by position of both models."""
    folder = tmp_path_factory.mktemp("positions")
    write_token_shards(read_documents(parse_sources(str(small_corpus))), tokenizer, folder / "tokens", 0.3)
    flags = ["--tokens", folder / "tokens", "--window", "256", "--old_window", "64", "--documents", "8"]
    chat, base = models
    complete(
        "evaluation/loss_by_position.py",
        *flags,
        "--models",
        f"base={base}",
        f"chat={chat}",
        "--output_dir",
        folder / "out",
    )
    return folder / "out"


@pytest.fixture(scope="module")
def side_by_side(complete, models, tmp_path_factory) -> Path:
    """Both models on three prompts and five pairs."""
    folder = tmp_path_factory.mktemp("side_by_side")
    rows = [{"id": wanted, "category": "x", "wanted": wanted, "language": "ja", "prompt": f"{wanted}の方法は？"}
            for wanted in ("decline", "refer", "answer")]  # fmt: skip
    (folder / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    chat, base = models
    flags = ["--models", f"base={base}", f"chat={chat}", "--prompts", folder / "asked.jsonl", *SIDE_FLAGS]
    complete("evaluation/side_by_side.py", *flags, "--output_dir", folder / "out")
    return folder / "out"


def answer(complete, model: str, name: str, folder: Path) -> None:
    complete(
        "evaluation/rakuda_answers.py", "--model", model, "--name", name, "--answer_tokens", 4, "--output_dir", folder
    )


def reviews_of(answers: Path, path: Path) -> Path:
    """Recorded reviews of both orders: the answer of `chat` wins whatever it says."""
    texts = {name: [json.loads(line) for line in (answers / f"{name}.jsonl").read_text("utf-8").splitlines()]
             for name in ("chat", "base")}  # fmt: skip
    rows = []
    for one, other in zip(texts["chat"], texts["base"], strict=True):
        for first, second in ((one, other), (other, one)):
            rows.append({
                "question_id": first["question_id"], "model1_id": first["model_id"], "model2_id": second["model_id"],
                "response1": first["choices"][0]["turns"][0], "response2": second["choices"][0]["turns"][0],
                "review": f"[[{1 if first is one else 2}]] {1 if first is one else 2}",
                "provenance": {"judge": "a-judge", "prompt_digest": "sha256:0123456789abcdef"},
            })  # fmt: skip
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def judged(complete, models, tmp_path_factory) -> Path:
    """Rakuda's sample questions answered by both models, the reviews replayed."""
    folder = tmp_path_factory.mktemp("rakuda")
    for model, name in zip(models, ("chat", "base")):
        answer(complete, model, name, folder / "answers")
    said = reviews_of(folder / "answers", folder / "said.jsonl")
    flags = ["--generator", "replay", "--model", said, "--answers", folder / "answers", "--labels", "chat=対話"]
    complete("evaluation/rakuda_judge.py", *flags, "--pages", "false", "--output_dir", folder / "judged")
    return folder / "judged"


def results_of(entry, model: str) -> dict[str, float]:
    """What goes into the card's metadata, by the metric's name."""
    (found,) = read_evaluations([str(entry)], model)
    return {result.metric_name: result.metric_value for result in found.statement.results}


def test_losses_by_position_are_those_of_the_exported_model(positions, models):
    written = json.loads((positions / "loss_by_position.json").read_text())["loss"]
    for model, label in zip(models, ("chat", "base")):
        found = results_of(positions, model)
        assert found["loss at 128-256"] == pytest.approx(written[label]["128-256"]["mean"], abs=1e-4)
    assert written["chat"]["128-256"] != written["base"]["128-256"]
    (found,) = read_evaluations([str(positions)], models[0])
    columns, rows = found.statement.tables[0]
    assert columns[3] == "less `base`"
    assert rows[-1][0] == "short documents"


def test_preferences_and_refusals_are_those_of_the_exported_model(side_by_side, models):
    written = json.loads((side_by_side / "report.json").read_text())
    found = results_of(side_by_side, models[0])
    assert found["harmful answers by rule, at most"] == 100 * written["answers"]["chat"]["by_rule"]["harmful"]["value"]
    assert found["chosen answer likelier"] == round(100 * written["preferences"]["chat"]["accuracy"]["value"], 1)
    (found,) = read_evaluations([str(side_by_side)], models[0])
    assert "3 prompts (asked.jsonl)" in found.statement.protocol[0]


def test_win_rates_are_those_of_the_exported_model(judged, models, complete, tmp_path):
    assert results_of(judged, models[0]) == {"win rate, a tie is half a win": 100.0}
    assert results_of(judged, models[1]) == {"win rate, a tie is half a win": 0.0}
    (found,) = read_evaluations([str(judged)], models[0])
    assert found.statement.tables[1][1] == [["base", "8", "0", "0", "100.0%", "100.0% to 100.0%"]]
    protocol = " ".join(found.statement.protocol)
    for said in ("4 questions (not known to be Rakuda's 40)", "judge: a-judge", "same verdict in both orders",
                 "digest `0123456789ab`"):  # fmt: skip
        assert said in protocol
    assert "temperature" not in protocol  # a replay does not know it
    record = json.loads((judged / "run.json").read_text())
    record["config"]["generator"] = "endpoint"
    shutil.copytree(judged, tmp_path / "asked")
    (tmp_path / "asked" / "run.json").write_text(json.dumps(record))
    (found,) = read_evaluations([str(tmp_path / "asked")], models[0])
    for said in ("this project's own (digest", "Each pair was judged in both orders", "Judge's temperature 0."):
        assert said in " ".join(found.statement.protocol)
    # A report on the same matches knows the models of their record.
    complete(
        "evaluation/rakuda_report.py", "--matches", judged, "--pages", "false", "--output_dir", tmp_path / "report"
    )
    assert results_of(tmp_path / "report", models[0]) == {"win rate, a tie is half a win": 100.0}


def test_jglue_scores_are_those_of_the_exported_model(complete, models, tmp_path):
    pytest.importorskip("lm_eval", reason="the extra nec13b[eval] is not installed")
    flags = ["--jglue", "sample", "--tasks", "nec13b_jcqa", "--limit", "4", "--output_dir", tmp_path / "out"]
    complete("evaluation/jglue.py", *flags, "--few_shot_seeds", "5", "--models", f"chat={models[0]}")
    written = json.loads((tmp_path / "out" / "jglue.json").read_text())["tasks"]["nec13b_jcqa"]
    (found,) = read_evaluations([str(tmp_path / "out")], models[0])
    accuracy = next(each for each in found.statement.results if each.metric_type == "acc")
    assert accuracy.metric_value == round(written["models"]["chat"]["scores"]["acc"]["mean"], 2)
    assert accuracy.metric_args["shots"] == 3
    assert accuracy.metric_args["few_shot_seeds"] == [5]
    assert accuracy.dataset_type == "nec13b_jcqa"  # questions of the sample are not JGLUE's
    protocol = " ".join(found.statement.protocol)
    assert "Only the first questions" in protocol
    assert "float32" in protocol


def test_results_of_another_model_are_refused(positions, side_by_side, judged, models, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(models[0], other)
    model = Nec13bForCausalLM.from_pretrained(other)
    model.lm_head.weight.data += 1
    model.save_pretrained(other)
    for folder in (positions, side_by_side, judged):
        with pytest.raises(InputError, match="its record names other models") as refused:
            read_evaluations([str(folder)], str(other))
        assert str(folder) in str(refused.value)
        assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match="names other models"):
        export(ExportConfig(str(other), str(tmp_path / "out"), evaluations=[str(positions)]))
    assert not (tmp_path / "out").exists()


def test_a_copy_of_the_model_is_the_same_model(positions, models, tmp_path):
    shutil.copytree(models[0], tmp_path / "copy")
    assert results_of(positions, str(tmp_path / "copy")) == results_of(positions, models[0])


def test_a_model_that_was_trained_anew_is_refused(positions, models, tmp_path):
    folder, model = tmp_path / "out", tmp_path / "model"
    shutil.copytree(positions, folder)
    shutil.copytree(models[0], model)
    record = json.loads((folder / "run.json").read_text())
    record["inputs"]["models"]["chat"] = [[str(model), "0" * 64]]
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"was measured with other weights than .* has now"):
        read_evaluations([str(folder)], str(model))
    record["inputs"]["models"]["chat"] *= 2
    record["inputs"]["models"]["chat"][0] = [str(model), ""]
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="stands for 2 checkpoints together"):
        read_evaluations([str(folder)], str(model))


def test_answers_of_other_weights_are_not_gone_on_with(models, tmp_path):
    shutil.copytree(models[0], tmp_path / "model")
    config = RakudaAnswersConfig(model=str(tmp_path / "model"), output_dir=str(tmp_path / "answers"), answer_tokens=2)
    assert answer_questions(config)["answered"] == 4
    shutil.copy(Path(models[1]) / "model.safetensors", tmp_path / "model")
    with pytest.raises(InputError, match="answers of another checkpoint"):
        answer_questions(config)


def test_a_served_model_is_named_by_its_label(judged, models, tmp_path):
    folder = tmp_path / "judged"
    shutil.copytree(judged, folder)
    record = json.loads((folder / "run.json").read_text())
    record["inputs"]["models"]["chat"] = ["nec13b", ""]  # as an endpoint called it
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="names other models"):
        read_evaluations([str(folder)], models[0])
    (found,) = read_evaluations([f"{folder},label=対話"], models[0])
    assert "was said by those who exported the model" in found.note
    with pytest.raises(InputError, match="was measured with other weights"):  # the record knows that label's weights
        read_evaluations([f"{folder},label=base"], models[0])
    with pytest.raises(InputError, match="no results of 'nobody'"):
        read_evaluations([f"{folder},label=nobody"], models[0])
    with pytest.raises(InputError, match="is not label=NAME"):
        read_evaluations([f"{folder},name=x"], models[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "run.json").unlink(), "holds no run.json"),
        (lambda folder: (folder / "run.json").write_text('{"stage": "pretrain"}'), "is a folder of 'pretrain'"),
        (lambda folder: (folder / "loss_by_position.json").unlink(), "does not exist"),
        (lambda folder: (folder / "loss_by_position.json").write_text('{"loss": {"chat": {}}}'), "another version"),
        (
            lambda folder: (folder / "run.json").write_text(
                '{"stage": "loss_by_position", "config": {}, "inputs": {}, "counts": {}}'
            ),
            "does not say which weights",
        ),
    ],
)
def test_folders_that_cannot_be_used_are_told(positions, models, tmp_path, change, said):
    shutil.copytree(positions, tmp_path / "out")
    change(tmp_path / "out")
    with pytest.raises(InputError, match=said):
        read_evaluations([str(tmp_path / "out")], models[0])


def test_the_card_holds_tables_and_a_model_index(positions, side_by_side, judged, models, tmp_path):
    entries = [str(folder) for folder in (positions, side_by_side, judged)]
    config = ExportConfig(models[0], str(tmp_path / "out"), title="小型", evaluations=entries)
    export(config)
    card = (tmp_path / "out" / "llama" / "README.md").read_text(encoding="utf-8")
    head, _, body = card.removeprefix("---\n").partition("\n---\n")
    (index,) = yaml.safe_load(head)["model-index"]
    assert index["name"] == "小型"
    metrics = {metric["name"]: metric["value"] for result in index["results"] for metric in result["metrics"]}
    assert metrics["win rate, a tie is half a win"] == 100.0
    assert len(metrics) == 6
    for line in ("## Evaluation", "### Loss by position", "### Harm, refusals and preferences", "### Rakuda",
                 "| base | 8 | 0 | 0 | 100.0% | 100.0% to 100.0% |"):  # fmt: skip
        assert line in body
    assert str(tmp_path) not in card
    assert str(Path(models[0]).parent) not in card
    # Results that have changed make another card.
    record = json.loads((judged / "run.json").read_text())
    (judged / "run.json").write_text(json.dumps(record, indent=1))
    with pytest.raises(InputError, match="choose another --output_dir"):
        export(config)
