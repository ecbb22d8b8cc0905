"""An amplification accounts for every item, whatever the endpoint does, and goes on after a kill without loss."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from endpoint_stand_in import FAULTS, Endpoint

from nec13b.augmentation.augmentation import augment_dialogues
from nec13b.augmentation.augmentation_config import AugmentDialoguesConfig
from nec13b.augmentation.outcome_journal import OUTCOMES, OutcomeJournal
from nec13b.errors import InputError

pytest.importorskip("openai")
KEY = "sk-never-to-be-written"


def config_for(endpoint, seed_file, output, **changes) -> AugmentDialoguesConfig:
    quick = {
        "items": 40, "concurrency": 8, "request_timeout": 20.0, "first_delay": 0.005, "longest_delay": 0.02,
        "max_attempts": 3, "api_key_variable": "A_KEY", "stop_after_failures": 0,
    }  # fmt: skip
    return AugmentDialoguesConfig(
        generator="endpoint", base_url=endpoint.url, model="stand-in", seeds=[str(seed_file)], output_dir=str(output),
        **quick | changes,
    )  # fmt: skip


def rows_of(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_accounts(report: dict, folder, requested: int) -> None:
    assert report["requested"] == requested
    assert report["left"] == 0
    assert sum(report[name] for name in OUTCOMES) == requested
    for name in ("rejected", "failed"):
        assert sum(report[f"{name}_by_reason"].values()) == report[name]
        assert "" not in report[f"{name}_by_reason"]
    rows = rows_of(folder / "journal.jsonl")
    assert Counter(row["outcome"] for row in rows) == {name: report[name] for name in OUTCOMES if report[name]}
    assert len({(row["round"], row["item"]) for row in rows}) == len(rows) == requested


@pytest.mark.slow
def test_a_thousand_items_through_a_failing_endpoint_are_all_accounted_for(seed_file, tmp_path, monkeypatch):
    monkeypatch.setenv("A_KEY", KEY)
    out = tmp_path / "out"
    # Few requests stall, so that the timeout can be long enough for a busy machine.
    quick = [fault for fault in FAULTS if fault not in ("stall", "trickle")]
    with Endpoint(0.3, [*quick * 5, "stall", "trickle"], bad_share=0.15, seed=1, key=KEY) as endpoint:
        config = config_for(endpoint, seed_file, out, items=1000, concurrency=16, request_timeout=5.0)
        report = augment_dialogues(config)
        assert endpoint.most_at_once <= 16
        assert len(endpoint.met) == 14  # every fault, and none
    check_accounts(report, out, 1000)
    # What was rejected can be read in the journal.
    rejected = [
        row for row in rows_of(out / "journal.jsonl") if row["outcome"] == "rejected" and row["reason"] != "format"
    ]
    assert all(len(row["dialogue"]["messages"]) > row["new_from"] for row in rejected)
    assert report["kept"] > 100
    assert report["failed"] > 20
    rejected = ("unfinished", "format", "refusal", "special_tokens", "repetitive", "personal_data", "language",
                "near_duplicate_of_seed", "repeats_question", "low_score", "no_grade")  # fmt: skip
    assert set(rejected) <= set(report["rejected_by_reason"])
    assert set(report["failed_by_reason"]) <= set(report["retries"])
    assert {"timeout", "rate_limited", "server_error", "malformed_reply", "empty_reply", "connection"} == set(
        report["retries"]
    )
    for path in out.rglob("*"):
        assert KEY not in path.read_bytes().decode("utf-8") if path.is_file() else True


def test_what_is_kept_says_where_it_comes_from(seed_file, tmp_path):
    with Endpoint() as endpoint:
        report = augment_dialogues(
            config_for(endpoint, seed_file, tmp_path / "out", prompt_price=1.0, completion_price=2.0)
        )
    check_accounts(report, tmp_path / "out", 40)
    queue = rows_of(tmp_path / "out" / "review.jsonl")
    assert len(queue) == report["kept"] == report["review"]["waiting"] > 30
    kept = [row for row in rows_of(tmp_path / "out" / "journal.jsonl") if row["outcome"] == "kept"]
    for row in kept:
        provenance = row["dialogue"]["provenance"]
        assert provenance["seed_id"].startswith("seeds")
        assert provenance["model"] == "stand-in"
        assert provenance["score"] in (4, 5)
        assert len(provenance["prompt_digest"]) == 16
        assert provenance["answer_sampling"]["max_new_tokens"] == 1536
        assert row["dialogue"]["language"] == "ja"
        assert [m["role"] for m in row["dialogue"]["messages"]][-2:] == ["user", "assistant"]
        further = provenance["operation"] == "further_turns"
        assert len(row["dialogue"]["messages"]) == (4 if further else 2)
        assert row["new_from"] == (2 if further else 0)
    assert len({row["dialogue"]["provenance"]["operation"] for row in kept}) == 6
    assert report["cost"] == pytest.approx((report["prompt_tokens"] + 2 * report["completion_tokens"]) / 1e6)
    assert report["diversity"]["questions"]["texts"] == 5
    assert not (tmp_path / "out" / "dialogues.jsonl").read_text()  # nobody has decided yet


def test_a_second_run_asks_for_nothing_and_takes_decisions_in(seed_file, tmp_path):
    out = tmp_path / "out"
    with Endpoint() as endpoint:
        config = config_for(endpoint, seed_file, out, items=12)
        augment_dialogues(config)
        asked = endpoint.requests
        first, second, third, *others = rows_of(out / "review.jsonl")
        edited = [
            {"role": "user", "content": "短くお願いします。"},
            {"role": "assistant", "content": "はい、短くします。"},
        ]
        decisions = [
            {"id": first["id"], "decision": "reject"},
            {"id": first["id"], "decision": "accept", "reviewer": "山田"},
            {"id": second["id"], "decision": "reject", "comment": "計算が違う"},
            {"id": third["id"], "decision": "edit", "messages": edited},
            {"id": "augmented/9-000001", "decision": "accept"},
            {"id": third["id"], "decision": "edit", "messages": edited[:1]},
            {"id": third["id"], "decision": "perhaps"},
        ]
        lines = [json.dumps(row, ensure_ascii=False) for row in decisions]
        (out / "reviewed.jsonl").write_text("\n".join([*lines, "{broken"]), encoding="utf-8")
        report = augment_dialogues(config)
        assert endpoint.requests == asked
    result = rows_of(out / "dialogues.jsonl")
    assert [row["id"] for row in result] == [first["id"], third["id"]]
    assert result[0]["provenance"]["review"] == {"decision": "accept", "reviewer": "山田"}
    assert result[1]["messages"] == edited
    assert [row["id"] for row in rows_of(out / "review.jsonl")] == [row["id"] for row in others]
    assert report["review"] == {
        "accepted": 1, "edited": 1, "rejected": 1, "waiting": len(others), "result": 2, "unknown": 1
    }  # fmt: skip
    set_aside = rows_of(out / "rejected_lines.jsonl")
    assert [row["line"] for row in set_aside] == [6, 7, 8]
    assert all(row["reason"] for row in set_aside)


def test_rounds_go_on_from_what_was_kept(seed_file, tmp_path):
    with Endpoint() as endpoint:
        config = config_for(endpoint, seed_file, tmp_path / "out", items=10)
        augment_dialogues(config)
        report = augment_dialogues(config_for(endpoint, seed_file, tmp_path / "out", items=10, rounds=2))
        with pytest.raises(InputError, match="2 rounds"):
            augment_dialogues(config)
    check_accounts(report, tmp_path / "out", 20)
    second = [row for row in rows_of(tmp_path / "out" / "journal.jsonl") if row["round"] == 2]
    assert all(row["dialogue"]["provenance"]["seed_id"].startswith("augmented/1-") for row in second)


def test_twins_written_at_the_same_time_are_told_apart(seed_file, tmp_path):
    with Endpoint(seconds=0.02) as endpoint:
        wrote = endpoint.reply
        endpoint.reply = lambda body: (
            ("港町で一番早く開く食堂はどこですか。", "stop")
            if "<指示>" in body["messages"][-1]["content"]
            else wrote(body)
        )
        config = config_for(endpoint, seed_file, tmp_path / "out", items=8, operations="new_topic=1")
        report = augment_dialogues(config)
    assert report["kept"] == 1
    assert report["rejected_by_reason"] == {"near_duplicate": 7}


def test_a_dead_endpoint_stops_the_run_and_failed_items_can_be_tried_again(seed_file, tmp_path):
    with Endpoint(fault_share=1.0, faults=("status_500",)) as endpoint:
        config = config_for(endpoint, seed_file, tmp_path / "out", stop_after_failures=10)
        report = augment_dialogues(config)
        assert 10 <= report["failed"] < 10 + 8
        assert report["failed"] + report["left"] == 40
        assert "10 items in a row" in report["stopped"]
        endpoint.fault_share = 0.0
        asked = endpoint.requests
        assert augment_dialogues(config)["failed"] == report["failed"]
        assert endpoint.requests > asked
        config.retry_failed = True
        report = augment_dialogues(config)
    assert (report["failed"], report["left"], report["stopped"]) == (0, 0, "")


def test_a_budget_ends_the_run(seed_file, tmp_path):
    with Endpoint() as endpoint:
        config = config_for(endpoint, seed_file, tmp_path / "out", completion_price=1e6, budget=2000.0, concurrency=1)
        report = augment_dialogues(config)
    assert 2000 <= report["cost"] < 3000
    assert report["left"] > 0
    assert "budget" in report["stopped"]


def test_another_request_does_not_get_into_the_same_journal(seed_file, tmp_path):
    out = tmp_path / "out"
    with Endpoint() as endpoint:
        augment_dialogues(config_for(endpoint, seed_file, out, items=3))
        with pytest.raises(InputError, match="items, temperature"):
            augment_dialogues(config_for(endpoint, seed_file, out, items=4, temperature=0.2))
        augment_dialogues(config_for(endpoint, seed_file, out, items=4, overwrite_output_dir=True))
        (out / "reviewed.jsonl").write_text("")
        with pytest.raises(InputError, match="decisions of people"):
            augment_dialogues(config_for(endpoint, seed_file, out, items=5, overwrite_output_dir=True))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("x")
    with pytest.raises(InputError, match="not of this recipe"):
        augment_dialogues(config_for(endpoint, seed_file, tmp_path / "other"))


def test_seeds_that_were_mended_can_be_used_in_the_same_folder(seed_file, tmp_path):
    (tmp_path / "seeds.jsonl").write_text('{"messages": []}\n')
    with Endpoint() as endpoint:
        config = config_for(endpoint, tmp_path / "seeds.jsonl", tmp_path / "out", items=2)
        with pytest.raises(InputError, match="no dialogue to begin with"):
            augment_dialogues(config)
        (tmp_path / "seeds.jsonl").write_bytes(seed_file.read_bytes())
        assert augment_dialogues(config)["left"] == 0


def test_a_refused_key_is_said_in_one_line_and_nothing_is_counted(seed_file, tmp_path, monkeypatch):
    monkeypatch.setenv("A_KEY", "wrong")
    with Endpoint(key=KEY) as endpoint, pytest.raises(InputError, match="A_KEY"):
        augment_dialogues(config_for(endpoint, seed_file, tmp_path / "out"))
    assert not (tmp_path / "out" / "journal.jsonl").exists()


@pytest.mark.slow
def test_a_killed_run_goes_on_without_loss_or_repetition(seed_file, tmp_path, root):
    out = tmp_path / "out"
    environment = {**os.environ, "A_KEY": KEY}
    with Endpoint(
        fault_share=0.15, faults=("status_500", "broken_json", "dropped"), bad_share=0.2, key=KEY
    ) as endpoint:
        endpoint.seconds = 0.01
        command = [
            sys.executable, str(root / "recipes" / "augment_dialogues.py"), "--config", str(tmp_path / "config.yaml"),
            "--generator", "endpoint", "--base_url", endpoint.url, "--model", "stand-in", "--seeds", str(seed_file),
            "--output_dir", str(out), "--items", "150", "--concurrency", "6", "--first_delay", "0.01",
            "--longest_delay", "0.05", "--max_attempts", "2", "--api_key_variable", "A_KEY",
        ]  # fmt: skip
        (tmp_path / "config.yaml").write_text("stop_after_failures: 0\n")
        finished: list[bytes] = []
        for wanted in (20, 60):  # killed twice
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            while process.poll() is None and _lines(out / "journal.jsonl") < wanted:
                time.sleep(0.01)
            assert process.poll() is None, process.stdout.read()
            process.send_signal(signal.SIGKILL)
            process.wait()
            journal = (out / "journal.jsonl").read_bytes()
            assert journal.startswith(b"".join(finished))
            finished = journal.splitlines(keepends=True)
            with (out / "journal.jsonl").open("ab") as file:
                file.write(b'{"round": 1, "item": 7, "outcome": "ke')  # as a power cut leaves it
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        assert endpoint.most_at_once <= 6
    report = json.loads((out / "report.json").read_text())
    check_accounts(report, out, 150)
    assert (out / "journal.jsonl").read_bytes().startswith(b"".join(finished))
    assert "150 items requested" in done.stdout
    record = json.loads((out / "run.json").read_text())
    assert {name: record["counts"][name] for name in OUTCOMES} == {name: report[name] for name in OUTCOMES}
    for path in out.rglob("*"):
        assert KEY.encode() not in (path.read_bytes() if path.is_file() else b"")
    assert KEY not in done.stdout + done.stderr


def _lines(path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_line_that_was_cut_is_written_anew(seed_file, tmp_path):
    out = tmp_path / "out"
    with Endpoint() as endpoint:
        config = config_for(endpoint, seed_file, out, items=6)
        augment_dialogues(config)
        journal = (out / "journal.jsonl").read_bytes()
        lines = journal.splitlines(keepends=True)
        (out / "journal.jsonl").write_bytes(lines[0] + b"\x00\xff damaged\n" + b"".join(lines[2:5]) + lines[5][:-20])
        report = augment_dialogues(config)
    assert sum(report[name] for name in OUTCOMES) == 6
    numbers = [outcome.item for outcome in OutcomeJournal(out / "journal.jsonl").records()]
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
    assert rows_of(out / "rejected_lines.jsonl")[0]["line"] == 2
