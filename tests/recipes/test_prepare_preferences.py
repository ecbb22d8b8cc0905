"""The recipe of preference data: what it leaves, how it says what is wrong, and real data."""

import json

import pytest

from nec13b.preferences.preference import Preference


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_without_any_preferences_named_the_sample_is_prepared(run_recipe, tmp_path):
    output = tmp_path / "out"
    outcome = run_recipe("prepare_preferences", "--output_dir", output)
    assert outcome.status == 0, outcome.err
    train, held_out = rows_of(output / "train.jsonl"), rows_of(output / "held_out.jsonl")
    assert f"{len(train)} preferences for training" in outcome.out
    assert f"{len(held_out)} held out" in outcome.out
    assert 'right by "the longer answer wins"' in outcome.out
    assert len(train) + len(held_out) >= 80
    assert rows_of(output / "rejected.jsonl") == []
    record = json.loads((output / "run.json").read_text(encoding="utf-8"))
    assert record["counts"]["kept"]["train"] == len(train)
    assert record["inputs"]["preferences"][0]["location"] == "sample"
    # The sample is to teach what is good, not what is long.
    longer = record["metrics"]["length_bias"]["longer_wins"]
    assert longer["low"] < 0.5 < longer["high"]

    stamp = (output / "train.jsonl").stat().st_mtime_ns
    outcome = run_recipe("prepare_preferences", "--output_dir", output)
    assert (outcome.status, (output / "train.jsonl").stat().st_mtime_ns) == (0, stamp)
    assert "holds these preferences already" in outcome.out
    outcome = run_recipe("prepare_preferences", "--output_dir", output, "--held_out_fraction", "0.5")
    assert outcome.status == 2
    assert "--overwrite_output_dir" in outcome.err


def test_bad_input_is_set_aside_or_with_strict_refused(run_recipe, tmp_path):
    bad = tmp_path / "bad.jsonl"
    good = {"prompt": "海は？", "chosen": "青い。", "rejected": "赤い。"}
    bad.write_text(json.dumps(good) + "\n" + json.dumps(good | {"chosen": "赤い。"}) + "\n{cut", encoding="utf-8")
    flags = ["--preferences", bad, "--held_out_fraction", "0", "--output_dir", tmp_path / "out"]
    outcome = run_recipe("prepare_preferences", *flags, "--strict")
    assert outcome.status == 2
    assert f"{bad}, line 2: same answers (chosen and rejected say the same)" in outcome.err
    assert f"{bad}, line 3: file ends early; its last line is cut" in outcome.err
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "out" / "train.jsonl").exists()
    outcome = run_recipe("prepare_preferences", *flags)
    assert outcome.status == 0, outcome.err
    assert "-1 same answers" in outcome.out
    assert len(rows_of(tmp_path / "out" / "train.jsonl")) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--preferences", "nowhere.jsonl"], "preferences path nowhere.jsonl does not exist"),
        (["--skip_checks", "manners"], "there is no check 'manners'"),
        (["--min_judges", "0"], "min_judges must be at least 1"),
        (["--near_same_similarity", "0"], "near_same_similarity must lie above 0"),
        (["--max_dialogue_tokens", "100"], "name one with --tokenizer"),
    ],
)
def test_mistakes_end_in_one_line(run_recipe, tmp_path, flags, message):
    outcome = run_recipe("prepare_preferences", "--output_dir", tmp_path / "out", *flags)
    assert outcome.status == 2
    assert message in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_the_13b_preset_is_read(run_recipe, root, tmp_path):
    preset = root / "recipes" / "configs" / "13b" / "prepare_preferences.yaml"
    outcome = run_recipe("prepare_preferences", "--config", preset, "--output_dir", tmp_path / "out")
    assert outcome.status == 0, outcome.err


@pytest.mark.slow
def test_real_preferences(run_recipe, data, tmp_path):
    output = tmp_path / "out"
    files = [data / "preference_sample" / f"{name}.jsonl.gz" for name in ("ja_vicuna_qa_indirect", "en_hh_harmless")]
    outcome = run_recipe("prepare_preferences", "--preferences", *files, "--output_dir", output)
    assert outcome.status == 0, outcome.err
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    assert report["kept"]["train"] + report["kept"]["held_out"] + report["set_aside"] == 345 + 2307
    assert report["set_aside"] < 20
    # GPT-4 likes long answers; the people who chose harmless ones did not.
    bias = {source["source"]: source["length_bias"]["longer_wins"] for source in report["sources"]}
    assert bias["ja_vicuna_qa_indirect"]["low"] > 0.8
    assert bias["en_hh_harmless"]["high"] < 0.5
    prompts = [
        {Preference(row["prompt"], row["chosen"], row["rejected"]).prompt_key for row in rows_of(output / name)}
        for name in ("train.jsonl", "held_out.jsonl")
    ]
    assert not prompts[0] & prompts[1]
