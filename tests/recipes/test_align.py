"""recipes/align.py as a user runs it: on one process, on several, and with what cannot work."""

import json
import sys

import pytest
from run_losses import assert_same, losses, run
from transformers import AutoModelForCausalLM


@pytest.fixture(scope="module")
def preferences(tmp_path_factory):
    """48 preferences, as JSONL."""
    path = tmp_path_factory.mktemp("preferences") / "few.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(48):
            row = {
                "prompt": [{"role": "user", "content": f"{number}番の質問です。どうですか。"}],
                "chosen": [{"role": "assistant", "content": f"はい、{number}でございます。"}],
                "rejected": [{"role": "assistant", "content": f"知らないよ、{number * 7}なんて。"}],
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


@pytest.fixture
def aligning(tiny_checkpoint, preferences):
    """Flags of an alignment of four steps."""
    return [
        "--model", str(tiny_checkpoint), "--preferences", str(preferences), "--max_length", "96",
        "--rows_per_batch", "4", "--per_device_train_batch_size", "1", "--per_device_eval_batch_size", "1",
        "--max_steps", "4", "--eval_steps", "2", "--save_steps", "2", "--held_out_fraction", "0.2", "--cpu_threads",
        "1", "--eval_samples", "2", "--sample_tokens", "4", "--learning_rate", "1e-3", "--bf16", "false",
        "--skip_checks", "near_duplicates", "near_same_answers",
    ]  # fmt: skip


def test_it_writes_what_it_promises_and_resumes_nothing(run_recipe, aligning, tmp_path):
    outcome = run_recipe("align", *aligning, "--sample_questions", "春は？", "--output_dir", tmp_path / "run")
    assert outcome.status == 0, outcome.err
    assert "held-out accuracy 50.0%" in outcome.out
    names = {path.name for path in (tmp_path / "run").iterdir()}
    promised = {"model", "reference", "loss.png", "alignment.png", "samples.md", "metrics.jsonl", "run.json"}
    assert promised | {"checkpoint-4"} <= names
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["stage"] == "align"
    assert record["counts"]["steps"] == 4
    assert record["metrics"]["at_start"]["held_out_accuracy"] == 0.5
    assert list((tmp_path / "run").rglob("training_args.bin")) == []
    page = (tmp_path / "run" / "samples.md").read_text()
    assert "step 0:" in page
    assert "step 4:" in page
    AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model")
    again = run_recipe("align", *aligning, "--sample_questions", "春は？", "--output_dir", tmp_path / "run")
    assert "complete" in again.out


def test_a_sign_of_reward_hacking_ends_in_one_line(run_recipe, aligning, tmp_path):
    flags = ["--adapter", "lora", "--reference", "adapter_off", "--max_kl", "1e-12"]
    outcome = run_recipe("align", *aligning, *flags, "--output_dir", tmp_path / "run")
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert "the run ends at step 2: the KL to the reference is" in outcome.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model", "nowhere"], "cannot load a tokenizer from nowhere"),
        (["--preferences", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--max_length", "8"], "no preference fits in max_length 8"),
        (["--max_length", "512"], "longer than the window"),
        (["--adapter", "qlora"], "needs a GPU"),
        (["--reference", "adapter_off"], "needs an adapter"),
        (["--held_out_fraction", "0", "--max_chosen_drop", "1"], "there are none; raise held_out_fraction"),
        (["--loss_type", "sigmoyd"], "there is no loss 'sigmoyd'"),
    ],
)
def test_mistakes_end_in_one_line(run_recipe, aligning, tmp_path, flags, message):
    outcome = run_recipe("align", *aligning, *flags, "--output_dir", tmp_path / "run")
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags",
    [
        ["--reference", "precomputed"],
        ["--reference", "model"],
        ["--adapter", "lora", "--reference", "adapter_off"],
    ],
)
def test_sharded_over_two_processes_it_follows_one(command, run_recipe, aligning, tmp_path, flags):
    outcome = run_recipe("align", *aligning, *flags, "--output_dir", tmp_path / "one")
    assert outcome.status == 0, outcome.err
    run(command("fsdp_1x8", 2, [*aligning, *flags], "align"))
    assert_follows(tmp_path)


@pytest.mark.slow
def test_two_copies_follow_one(root, run_recipe, aligning, tmp_path):
    flags = [*aligning, "--adapter", "lora", "--reference", "precomputed"]
    outcome = run_recipe("align", *flags, "--output_dir", tmp_path / "one")
    assert outcome.status == 0, outcome.err
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file"]
    launcher += [str(root / "accelerate_configs" / "cpu_2proc.yaml"), "--main_process_port", "0"]
    run([*launcher, str(root / "recipes" / "align.py"), *flags, "--output_dir", str(tmp_path / "run")])
    assert_follows(tmp_path)


def assert_follows(tmp_path):
    """The run in `run` has the losses and the held-out figures of that in `one`."""
    assert_same(losses(tmp_path / "run"), losses(tmp_path / "one"))
    metrics = [json.loads((tmp_path / name / "run.json").read_text())["metrics"]["at_end"] for name in ("run", "one")]
    assert metrics[0]["held_out_accuracy"] == metrics[1]["held_out_accuracy"]
    assert metrics[0]["held_out_margin"] == pytest.approx(metrics[1]["held_out_margin"], abs=2e-5)


@pytest.mark.slow
def test_a_real_chat_model_learns_from_real_preferences(run_recipe, data, smollm2, tmp_path):
    outcome = run_recipe(
        "align", "--model", smollm2, "--preferences", data / "preference_sample" / "en_hh_harmless.jsonl.gz",
        "--adapter", "lora", "--reference", "adapter_off", "--max_length", "48", "--max_steps", "2", "--eval_steps",
        "2", "--rows_per_batch", "2", "--per_device_train_batch_size", "2", "--eval_preferences", "4",
        "--held_out_fraction", "0.1", "--learning_rate", "1e-3", "--eval_samples", "2", "--sample_tokens", "8",
        "--cpu_threads", "1", "--save_strategy", "no", "--bf16", "false", "--warmup_steps", "0",
        "--output_dir", tmp_path / "run",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    first, second = (row["loss"] for row in rows if "loss" in row)
    assert first == pytest.approx(0.6931, abs=1e-3)  # ln 2: nothing is preferred yet
    assert second != first
    assert next(row["kl"] for row in rows if "kl" in row) == pytest.approx(0, abs=1e-5)
