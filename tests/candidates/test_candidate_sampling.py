"""A sampling accounts for every answer, gives the same ones again, and goes on after a kill without loss."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from endpoint_stand_in import NOUNS, Endpoint

from nec13b.candidates.candidate_sampling import sample_candidates
from nec13b.candidates.candidates_config import SampleCandidatesConfig
from nec13b.candidates.sampled_answer import AnswerJournal
from nec13b.errors import InputError
from nec13b.generation.generator import Completion, GenerationFailed
from nec13b.preferences.judgement_files import read_pairs

KEY = "sk-never-to-be-written"
SUBJECTS = NOUNS[:12]


class Writer:
    """A model that writes sentences by its seed; some prompts it cannot answer."""

    opened: list = []  # noqa: RUF012 - of all of them, in order

    def __init__(self, settings, seed):
        self.model, self.retries = settings.model, Counter()
        self.opened.append(settings.model)

    async def complete(self, messages, sampling, seed=None):
        if "難問" in messages[-1]["content"]:
            raise GenerationFailed("prompt_too_long", "9,999 tokens")
        chance = random.Random(f"{self.model} {sampling.temperature} {seed}")
        text = "".join(f"{'と'.join(chance.sample(SUBJECTS, 3))}を比べます。" for _ in range(5))
        return Completion(text, "stop" if chance.random() < 0.8 else "length", 10, len(text))

    async def close(self):
        self.opened.append(f"-{self.model}")


@pytest.fixture
def prompt_file(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("".join(f"{noun}の使い方を教えてください。\n" for noun in SUBJECTS), encoding="utf-8")
    return path


def config_for(prompt_file, output, **changes) -> SampleCandidatesConfig:
    plain = {"models": ["one", "two,temperature=1.0"], "answers": 3, "max_new_tokens": 64, "stop_after_failures": 0}
    return SampleCandidatesConfig(prompts=[str(prompt_file)], output_dir=str(output), **plain | changes)


def rows_of(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_accounts(report: dict, folder, requested: int) -> None:
    assert report["requested"] == requested == report["answered"] + report["failed"] + report["left"]
    journal = rows_of(folder / "answers.jsonl")
    assert len({(row["prompt"], row["model"], row["number"]) for row in journal}) == len(journal)
    assert len(rows_of(folder / "dropped_answers.jsonl")) == sum(report["answers_dropped"].values())
    pairs = read_pairs(folder / "pairs.jsonl")
    assert len(pairs) == report["pairs"] + report["check_pairs"]
    assert report["prompts_with_a_pair"] + sum(report["prompts_without"].values()) <= report["prompts"]


def test_pairs_say_where_their_answers_come_from(prompt_file, tmp_path):
    Writer.opened = []
    report = sample_candidates(config_for(prompt_file, tmp_path / "out", check_pairs=3), Writer)
    check_accounts(report, tmp_path / "out", 12 * 6)
    assert Writer.opened == ["one", "-one", "two", "-two"]  # never two in memory
    assert report["answers_dropped"]["cut"] > 5
    assert report["pairs"] == 12
    assert report["check_pairs"] == 3
    given = {(row["seed"], row["text"]) for row in rows_of(tmp_path / "out" / "answers.jsonl")}
    for pair in read_pairs(tmp_path / "out" / "pairs.jsonl"):
        assert pair.language == "ja"
        assert pair.source == "prompts"
        assert pair.provenance["prompt"].startswith("prompts:")
        if "check" in pair.provenance:
            continue
        assert {answer.provenance["model"] for answer in (pair.first, pair.second)} == {"one", "two"}
        for answer in (pair.first, pair.second):
            assert (answer.provenance["seed"], answer.text) in given
            assert answer.provenance["ended"] is True
            assert answer.provenance["temperature"] == (0.8 if answer.provenance["model"] == "one" else 1.0)
            assert answer.provenance["tokens"] == len(answer.text)


def test_one_model_at_two_temperatures_is_loaded_once(prompt_file, tmp_path):
    Writer.opened = []
    sample_candidates(config_for(prompt_file, tmp_path / "out", models=["one", "one,temperature=0.2"]), Writer)
    assert Writer.opened == ["one", "-one"]


def test_a_run_that_was_cut_anywhere_gives_what_a_whole_one_gives(prompt_file, tmp_path):
    sample_candidates(config_for(prompt_file, tmp_path / "whole"), Writer)
    journal = (tmp_path / "whole" / "answers.jsonl").read_bytes()
    for cut in (0, 1, len(journal) // 2, len(journal) - 1):
        out = tmp_path / f"cut{cut}"
        sample_candidates(config_for(prompt_file, out), Writer)
        (out / "answers.jsonl").write_bytes(journal[:cut])
        check_accounts(sample_candidates(config_for(prompt_file, out), Writer), out, 72)
        for name in ("pairs.jsonl", "dropped_answers.jsonl", "report.json"):
            assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    Writer.opened = []
    sample_candidates(config_for(prompt_file, tmp_path / "whole"), Writer)
    assert Writer.opened == []
    assert (tmp_path / "whole" / "answers.jsonl").read_bytes() == journal
    other = sample_candidates(config_for(prompt_file, tmp_path / "other", seed=14), Writer)
    assert other["models"] != journal
    assert (tmp_path / "other" / "answers.jsonl").read_bytes() != journal


def test_what_failed_is_told_and_can_be_tried_again(prompt_file, tmp_path):
    prompt_file.write_text("難問です。\nやさしい質問です。\n", encoding="utf-8")
    report = sample_candidates(config_for(prompt_file, tmp_path / "out"), Writer)
    assert report["failed_by_reason"] == {"prompt_too_long": 6}
    assert report["prompts_without"] == {"no answer": 1}

    class Better(Writer):
        async def complete(self, messages, sampling, seed=None):
            return await super().complete([{"role": "user", "content": "やさしい"}], sampling, seed)

    again = config_for(prompt_file, tmp_path / "out", retry_failed=True)
    report = sample_candidates(again, Better)
    assert (report["failed"], report["answered"], report["pairs"]) == (0, 12, 2)
    assert len(list(AnswerJournal(tmp_path / "out" / "answers.jsonl").records())) == 18


def test_a_run_stops_early_and_leaves_pairs_of_what_is_whole(prompt_file, tmp_path):
    config = config_for(prompt_file, tmp_path / "out", models=["one"], answers=2, concurrency=1, completion_price=1e6,
                        budget=800.0, allowed_faults=["cut"])  # fmt: skip
    report = sample_candidates(config, Writer)
    assert "budget" in report["stopped"]
    assert 0 < report["left"] < 24
    assert 0 < report["pairs"] <= report["answered"] // 2
    before = {pair.id for pair in read_pairs(tmp_path / "out" / "pairs.jsonl")}
    config.budget = 0
    report = sample_candidates(config, Writer)
    check_accounts(report, tmp_path / "out", 24)
    assert (report["left"], report["stopped"]) == (0, "")
    assert before < {pair.id for pair in read_pairs(tmp_path / "out" / "pairs.jsonl")}


def test_prompts_can_be_added_but_nothing_else_be_changed(prompt_file, tmp_path):
    out = tmp_path / "out"
    sample_candidates(config_for(prompt_file, out), Writer)
    before = {pair.id for pair in read_pairs(out / "pairs.jsonl")}
    with prompt_file.open("a", encoding="utf-8") as file:
        file.write("もう一つの質問です。\n")
    assert sample_candidates(config_for(prompt_file, out), Writer)["prompts"] == 13
    assert before < {pair.id for pair in read_pairs(out / "pairs.jsonl")}
    for changed, named in (
        ({"models": ["one", "three"]}, r"models\)"), ({"answers": 4}, "answers of one@0.8, answers of two@1"),
        ({"max_new_tokens": 65}, "max_new_tokens of one@0.8"), ({"check_pairs": 1}, "check_pairs"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=rf"begun with other settings \(.*{named}"):
            sample_candidates(config_for(prompt_file, out, **changed), Writer)
    sample_candidates(config_for(prompt_file, out, answers=4, overwrite_output_dir=True), Writer)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("x")
    with pytest.raises(InputError, match="not of this recipe"):
        sample_candidates(config_for(prompt_file, tmp_path / "mine"), Writer)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"models": ["one,temperature=0"]}, "makes no pair"), ({"models": ["one"], "answers": 1}, "makes no pair"),
        ({"pair_criteria": ["beauty"]}, "no 'beauty'"), ({"allowed_faults": ["empty"]}, "no 'empty'"),
        ({"near_identical": 0}, "near_identical"), ({"min_length_ratio": 2}, "min_length_ratio"),
        ({"prompts": []}, "prompts is empty"), ({"check_pairs": -1}, "check_pairs"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(changed, said):
    with pytest.raises(InputError, match=said):
        SampleCandidatesConfig(**changed)


def test_a_checkpoint_gives_the_same_answers_in_whichever_batch(tiny_checkpoint, prompt_file, tmp_path):
    plain = {"models": [f"{tiny_checkpoint},temperature=1.0"], "answers": 2, "max_new_tokens": 12,
             "allowed_faults": ["cut", "repetitive", "repeats_prompt", "special_tokens"]}  # fmt: skip
    one = sample_candidates(config_for(prompt_file, tmp_path / "one", batch_size=5, **plain))
    check_accounts(one, tmp_path / "one", 24)
    assert one["pairs"] > 6
    assert one["models"][0]["fingerprint"].startswith("sha256:")
    sample_candidates(config_for(prompt_file, tmp_path / "two", batch_size=3, **plain))
    pairs = [(tmp_path / name / "pairs.jsonl").read_bytes() for name in ("one", "two")]
    assert pairs[0] == pairs[1]


def test_an_endpoint_is_asked_with_a_seed_and_its_failures_are_accounted_for(prompt_file, tmp_path, monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.setenv("A_KEY", KEY)
    faults = ("status_500", "broken_json", "dropped", "empty_choices", "429_plain")
    with Endpoint(0.4, faults, bad_share=0.1, key=KEY) as endpoint:
        config = config_for(
            prompt_file, tmp_path / "out", generator="endpoint", base_url=endpoint.url, api_key_variable="A_KEY",
            first_delay=0.005, longest_delay=0.01, max_attempts=3, request_timeout=20.0,
        )  # fmt: skip
        report = sample_candidates(config)
        assert {body["model"] for body in endpoint.bodies} == {"one", "two"}
        assert len({body["seed"] for body in endpoint.bodies}) == 72
    check_accounts(report, tmp_path / "out", 72)
    assert report["retries"]["server_error"] > 0
    for path in (tmp_path / "out").rglob("*"):
        assert KEY.encode() not in (path.read_bytes() if path.is_file() else b"")


@pytest.mark.slow
def test_a_killed_run_goes_on_without_loss_or_repetition(prompt_file, tmp_path, root):
    pytest.importorskip("openai")
    out, environment = tmp_path / "out", {**os.environ, "A_KEY": KEY}
    journal = out / "answers.jsonl"
    with Endpoint(0.15, ("status_500", "broken_json", "dropped"), key=KEY, seconds=0.02) as endpoint:
        (tmp_path / "config.yaml").write_text("stop_after_failures: 0\nmodels: [one, two]\n")
        command = [
            sys.executable, str(root / "recipes" / "sample_candidates.py"), "--config", str(tmp_path / "config.yaml"),
            "--generator", "endpoint", "--base_url", endpoint.url, "--prompts", str(prompt_file), "--output_dir",
            str(out), "--answers", "6", "--concurrency", "4", "--first_delay", "0.01", "--longest_delay", "0.05",
            "--max_attempts", "9", "--api_key_variable", "A_KEY",
        ]  # fmt: skip
        finished: list[bytes] = []
        for wanted in (20, 90):  # killed twice, the second time while the other model answers
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            while process.poll() is None and (not journal.exists() or journal.read_bytes().count(b"\n") < wanted):
                time.sleep(0.01)
            assert process.poll() is None, process.stdout.read()
            process.send_signal(signal.SIGKILL)
            process.wait()
            written = journal.read_bytes()
            assert written.startswith(b"".join(finished))
            finished = [line for line in written.splitlines(keepends=True) if line.endswith(b"\n")]
            with journal.open("ab") as file:
                file.write(b'{"prompt": "cut by the ki')  # as a power cut leaves it
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((out / "report.json").read_text())
    check_accounts(report, out, 144)
    assert (report["left"], report["failed"], report["unreadable_lines"]) == (0, 0, {})
    assert journal.read_bytes().startswith(b"".join(finished))
    assert f"Next: python recipes/annotate_preferences.py --pairs {out}/pairs.jsonl" in done.stdout
    record = json.loads((out / "run.json").read_text())
    assert record["counts"]["pairs"] == report["pairs"]
    assert record["inputs"]["models"] == report["models"]
    for path in out.rglob("*"):
        assert KEY.encode() not in (path.read_bytes() if path.is_file() else b"")
