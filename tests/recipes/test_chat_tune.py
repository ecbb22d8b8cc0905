"""recipes/chat_tune.py as a user runs it: on one process, on several, and with what cannot work."""

import json

import pytest
import torch
from run_losses import assert_same, losses, run
from transformers import AutoModelForCausalLM

from nec13b.chat_tuning.tuning_trainer import ChatTrainer


@pytest.fixture(scope="module")
def dialogues(tmp_path_factory):
    """60 dialogues of one to three exchanges, as JSONL."""
    path = tmp_path_factory.mktemp("dialogues") / "few.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(60):
            messages = []
            for turn in range(1 + number % 3):
                messages += [
                    {"role": "user", "content": f"{number}番の{turn}回目の質問です。"},
                    {"role": "assistant", "content": f"{turn}回目の答えは{number + turn}です。"},
                ]
            file.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
    return path


@pytest.fixture
def tuning(tiny_checkpoint, dialogues):
    """Flags of a tuning of four steps."""
    return [
        "--model", str(tiny_checkpoint), "--dialogues", str(dialogues), "--max_length", "128", "--rows_per_batch", "4",
        "--per_device_train_batch_size", "1", "--max_steps", "4", "--eval_steps", "4", "--save_steps", "4",
        "--held_out_fraction", "0.2", "--cpu_threads", "1", "--sample_tokens", "4", "--count_endings", "4",
        "--learning_rate", "1e-2", "--per_device_eval_batch_size", "1", "--bf16", "false",
    ]  # fmt: skip


def test_it_writes_what_it_promises(run_recipe, tuning, tmp_path):
    outcome = run_recipe("chat_tune", *tuning, "--output_dir", tmp_path / "run")
    assert outcome.status == 0, outcome.err
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"model", "loss.png", "samples.md", "metrics.jsonl", "run.json", "checkpoint-4"} <= names
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["metrics"]["answers"] == 4
    assert record["counts"]["steps"] == 4
    assert list((tmp_path / "run").rglob("training_args.bin")) == []
    page = (tmp_path / "run" / "samples.md").read_text()
    assert "step 0:" in page and "step 4:" in page  # noqa: PT018 - one thought
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model")
    assert model.config.use_cache


def test_memory_that_is_full(run_recipe, tuning, tmp_path, monkeypatch):
    def training_step(self, *args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(ChatTrainer, "training_step", training_step)
    outcome = run_recipe("chat_tune", *tuning, "--output_dir", tmp_path / "run")
    assert outcome.status == 2
    lines = [line for line in outcome.err.splitlines() if line.startswith("error")]
    assert lines == [
        "error: the memory of cpu is full. What to set, leaving the result as it is: --activation_checkpointing true, "
        "more processes under accelerate_configs/fsdp_1x8.yaml; as another run: --adapter lora, max_length below 128. "
        "The checkpoints are whole"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--adapter", "lora", "--lora_dropout", "0", "--merge_adapter", "true"]])
def test_sharded_over_two_processes_it_follows_one(command, run_recipe, tuning, tmp_path, flags):
    outcome = run_recipe("chat_tune", *tuning, *flags, "--output_dir", tmp_path / "one")
    assert outcome.status == 0, outcome.err
    run(command("fsdp_1x8", 2, [*tuning, *flags], "chat_tune"))
    assert_same(losses(tmp_path / "run"), losses(tmp_path / "one"))
    AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model", "nowhere"], "cannot load a tokenizer from nowhere"),
        (["--dialogues", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--max_length", "8"], "no dialogue fits in max_length 8"),
        (["--adapter", "qlora"], "needs a GPU"),
    ],
)
def test_mistakes_end_in_one_line(run_recipe, tuning, tmp_path, flags, message):
    outcome = run_recipe("chat_tune", *tuning, *flags, "--output_dir", tmp_path / "run")
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_after_a_mistake_in_the_dialogues_the_folder_can_be_used(run_recipe, tuning, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"messages": []}\nnot json\n')
    outcome = run_recipe("chat_tune", *tuning, "--dialogues", tmp_path / "bad.jsonl", "--output_dir", tmp_path / "run")
    assert outcome.status == 2
    assert "no messages" in outcome.err
    assert (tmp_path / "run" / "rejected.jsonl").read_text().count("\n") == 2
    outcome = run_recipe("chat_tune", *tuning, "--output_dir", tmp_path / "run")
    assert outcome.status == 0, outcome.err
