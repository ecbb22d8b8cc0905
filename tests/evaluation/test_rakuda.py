"""The three commands as a user runs them, and one that is killed."""

import json
import os
import runpy
import signal
import subprocess
import sys
import time

import pytest
from endpoint_stand_in import Endpoint


@pytest.fixture
def run(root, monkeypatch, capfd, tmp_path):
    """Runs a script with flags in an empty folder; its status and what it said."""
    monkeypatch.chdir(tmp_path)

    def run(name, *flags):
        script = root / "evaluation" / f"rakuda_{name}.py"
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, flags)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
        said = capfd.readouterr()
        return ended.value.code, said.out + said.err

    return run


@pytest.mark.parametrize(("name", "folder"), [("judge", "judged"), ("report", "report")])
def test_without_arguments_the_sample_is_judged_and_reported_on(run, tmp_path, name, folder):
    status, said = run(name)
    assert status == 0, said
    assert "24 comparisons of 3 models on 4 questions; 1 without a readable verdict" in said
    output = tmp_path / "runs" / "rakuda" / folder
    results = json.loads((output / "rakuda.json").read_text())
    assert list(results["models"]) == ["丁寧なモデル", "簡潔なモデル", "脱線するモデル"]
    assert (output / "win_rates.png").stat().st_size > 10_000
    assert json.loads((output / "run.json").read_text())["stage"] == f"rakuda_{name}"
    assert len(list((output / "questions").iterdir())) == 4


def test_a_model_answers_is_judged_by_another_and_reported_on(run, tiny_checkpoint, tmp_path):
    for name in ("one", "two"):
        flags = ("--model", tiny_checkpoint, "--name", name, "--answer_tokens", 4, "--temperature", 0.9)
        status, said = run("answers", *flags, "--seed", len(name) + (name == "one"))
        assert status == 0, said
    assert json.loads((tmp_path / "runs/rakuda/answers/one/run.json").read_text())["counts"]["answered"] == 4
    flags = ("--generator", "transformers", "--model", tiny_checkpoint, "--answers", "runs/rakuda/answers")
    status, said = run("judge", *flags, "--dry_run", "true")
    assert status == 0
    assert "8 comparisons; of those left: 8 calls" in said
    # So small a window has no room for the prompt: each comparison fails, and that is told.
    status, said = run("judge", *flags, "--output_dir", "out", "--review_tokens", 4, "--stop_after_failures", 0)
    assert status == 2
    assert "8 failed" in said
    assert "8 prompt_too_long" in said


def test_labels_and_published_files(run, data):
    folder = data / "rakuda"
    flags = ("--matches", folder / "matches_2023-07-14.jsonl", "--answers", folder / "rakuda_v1_answers.jsonl.gz")
    status, said = run("report", *flags, "--labels", "gpt-4:20230713=GPT-4", "--questions", folder, "--pages", "false")
    assert status == 0, said
    assert "GPT-4 " in said
    assert "92.6%" in said
    assert "78.9%" in said  # of the longer answers: their texts were found


@pytest.mark.parametrize(
    ("name", "flags", "said"),
    [
        ("answers", ["--questions", "nowhere"], "nowhere does not exist"),
        ("judge", ["--model", "nowhere"], "nowhere does not exist"),
        ("judge", ["--generator", "oracle"], "generator must be one of"),
        ("report", ["--matches", "nowhere"], "nowhere does not exist"),
        ("report", ["--labels", "x=y"], "there is no model 'x'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(run, name, flags, said):
    status, output = run(name, *flags)
    assert status == 2
    assert said in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_a_judge_that_is_killed_goes_on_and_judges_nothing_twice(root, tmp_path):
    pytest.importorskip("openai")
    output = tmp_path / "out"
    with Endpoint(seconds=0.3) as endpoint:
        endpoint.reply = lambda body: ("比べました。\n1", "stop")
        command = [sys.executable, str(root / "evaluation" / "rakuda_judge.py"), "--generator", "endpoint",
                   "--model", "j", "--base_url", endpoint.url, "--concurrency", "2",
                   "--output_dir", str(output)]  # fmt: skip
        environment = os.environ | {"PYTHONPATH": str(root / "src")}
        killed = subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True)
        journal, end = output / "reviews.jsonl", time.monotonic() + 240
        while time.monotonic() < end and not (journal.exists() and journal.read_bytes().count(b"\n") >= 5):
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        kept = journal.read_bytes().count(b"\n")
        assert 5 <= kept < 24
        asked = endpoint.requests
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        assert "24 comparisons: 24 with a verdict" in done.stdout
        assert endpoint.requests - asked == 24 - kept
    keys = [json.loads(line)["key"] for line in journal.read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 24
