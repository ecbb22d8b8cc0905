"""The recipe of dialogue data: what it leaves, how it says what is wrong, and real data."""

import json

import pytest

from nec13b.dialogues import Dialogue


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_without_any_dialogues_named_the_sample_is_prepared(run_recipe, tmp_path):
    output = tmp_path / "out"
    outcome = run_recipe("prepare_dialogues", "--output_dir", output)
    assert outcome.status == 0, outcome.err
    train, held_out = rows_of(output / "train.jsonl"), rows_of(output / "held_out.jsonl")
    assert f"{len(train)} dialogues for training" in outcome.out
    assert f"{len(held_out)} held out" in outcome.out
    assert len(train) + len(held_out) >= 150
    assert rows_of(output / "rejected.jsonl") == []  # the sample passes its own checks
    record = json.loads((output / "run.json").read_text(encoding="utf-8"))
    assert record["counts"]["kept"]["train"] == len(train)
    assert record["inputs"]["dialogues"][0]["location"] == "sample"

    stamp = (output / "train.jsonl").stat().st_mtime_ns
    outcome = run_recipe("prepare_dialogues", "--output_dir", output)
    assert (outcome.status, (output / "train.jsonl").stat().st_mtime_ns) == (0, stamp)
    assert "holds these dialogues already" in outcome.out
    outcome = run_recipe("prepare_dialogues", "--output_dir", output, "--held_out_fraction", "0.3")
    assert outcome.status == 2
    assert "--overwrite_output_dir" in outcome.err
    outcome = run_recipe(
        "prepare_dialogues", "--output_dir", output, "--held_out_fraction", "0.3", "--overwrite_output_dir"
    )
    assert outcome.status == 0
    assert len(rows_of(output / "held_out.jsonl")) > len(held_out)


def test_bad_input_is_set_aside_or_with_strict_refused(run_recipe, tmp_path):
    bad = tmp_path / "bad.jsonl"
    good = {"messages": [{"role": "user", "content": "海は？"}, {"role": "assistant", "content": "青い。"}]}
    bad.write_text(
        json.dumps(good) + "\n" + json.dumps({"messages": good["messages"][:1]}) + "\n{cut", encoding="utf-8"
    )
    flags = ["--dialogues", bad, "--held_out_fraction", "0", "--output_dir", tmp_path / "out"]
    outcome = run_recipe("prepare_dialogues", *flags, "--strict")
    assert outcome.status == 2
    assert f"{bad}, line 2: no answer at the end (message 1 (user) is the last)" in outcome.err
    assert f"{bad}, line 3: file ends early; its last line is cut" in outcome.err
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "out" / "train.jsonl").exists()
    outcome = run_recipe("prepare_dialogues", *flags)
    assert outcome.status == 0, outcome.err
    assert "-1 no answer at the end" in outcome.out
    assert len(rows_of(tmp_path / "out" / "train.jsonl")) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dialogues", "nowhere.jsonl"], "dialogues path nowhere.jsonl does not exist"),
        (["--skip_checks", "manners"], "there is no check 'manners'"),
        (["--personal_data", "burn"], "personal_data must be one of mask, set_aside, keep"),
        (["--max_dialogue_tokens", "100"], "name one with --tokenizer"),
        (["--near_similarity", "0"], "near_similarity must lie above 0"),
        (["--held_out_fraction", "1"], "held_out_fraction must lie between 0 and 1"),
        (["--tokenizer", "no/where"], "cannot load a tokenizer from no/where"),
    ],
)
def test_mistakes_end_in_one_line(run_recipe, tmp_path, flags, message):
    outcome = run_recipe("prepare_dialogues", "--output_dir", tmp_path / "out", *flags)
    assert outcome.status == 2
    assert message in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_the_13b_preset_is_read(run_recipe, root, tmp_path):
    preset = root / "recipes" / "configs" / "13b" / "prepare_dialogues.yaml"
    outcome = run_recipe("prepare_dialogues", "--config", preset, "--output_dir", tmp_path / "out")
    assert outcome.status == 0, outcome.err


@pytest.mark.slow
def test_real_dialogues(run_recipe, data, tmp_path):
    output = tmp_path / "out"
    outcome = run_recipe("prepare_dialogues", "--dialogues", data / "dialogue_sample", "--output_dir", output)
    assert outcome.status == 0, outcome.err
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    # The meetings are no dialogues of two; some chats end with a word of thanks.
    assert report["reasons"]["not a dialogue"] == {"dialogue_sample": 10}
    assert set(report["reasons"]) == {"not a dialogue", "no answer at the end", "near duplicate"}
    assert report["kept"]["train"] + report["kept"]["held_out"] + report["set_aside"] == 4000 + 9622 + 10
    openings = [
        {Dialogue(row["messages"]).opening for row in rows_of(output / name)}
        for name in ("train.jsonl", "held_out.jsonl")
    ]
    assert not openings[0] & openings[1]
