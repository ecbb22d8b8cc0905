"""The plan as a user asks for it: no argument, the paper's machine, flags over files, mistakes."""

import json
import math
import re

import pytest


def test_it_runs_without_an_argument(run_recipe):
    outcome = run_recipe("plan")
    assert outcome.status == 0, outcome.err
    assert "1 process on the cpu" in outcome.out
    assert "It fits" in outcome.out


def test_the_papers_run(run_recipe, root, tmp_path):
    outcome = run_recipe(
        "plan", "--config", root / "recipes/configs/13b/pretrain.yaml", "--machine",
        root / "accelerate_configs/fsdp_64x8.yaml", "--gpu", "a100-80gb", "--mfu", "0.45",
        "--price_per_gpu_hour", "2.0", "--output", tmp_path / "out",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert plan["shape"]["parameters"] == 13_201_986_560
    assert plan["layout"]["processes"] == 512
    assert plan["layout"]["mixed_precision"] == "bf16"
    assert plan["work"]["accumulation"] == 1
    assert plan["work"]["checkpointing"]
    assert plan["fits"]
    # 13B tokens-per-GPU-second of LLaMA and Llama 2 enclose what 45% comes to.
    rate = plan["compute"]["tokens_per_second"] / 512
    assert 1507 < rate < 2055
    assert plan["price"] == pytest.approx(2 * plan["compute"]["gpu_hours"])
    assert f"{plan['compute']['gpu_hours']:,.1f}" in outcome.out


@pytest.mark.parametrize(
    ("window", "layout", "data_ranks", "steps"),
    [("8k", "hsdp_64x8", 512, 1000), ("32k", "fsdp_cp_64x8", 128, 500)],
)
def test_extending_the_papers_model(run_recipe, root, tmp_path, window, layout, data_ranks, steps):
    outcome = run_recipe(
        "plan", "--of", "extend_context", "--config", root / f"recipes/configs/13b/extend_context_{window}.yaml",
        "--machine", root / f"accelerate_configs/{layout}.yaml", "--output", tmp_path,
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["shape"]["parameters"] == 13_201_986_560
    assert plan["work"]["accumulation"] == 1
    assert plan["fits"]
    assert f"x {data_ranks} processes with different data" in outcome.out
    assert f"{steps:,}, " in outcome.out


def test_tuning_the_papers_model(run_recipe, root, tmp_path):
    flags = ["--of", "chat_tune", "--config", root / "recipes/configs/13b/chat_tune.yaml"]
    flags += ["--planned_dialogues", "50000", "--mean_length", "1000"]
    plans = {}
    for name, machine, more in (
        ("whole", "fsdp_1x8", ["--price_per_gpu_hour", "2"]),
        ("lora", "one_gpu", ["--adapter", "lora", "--lora_rank", "64"]),
    ):
        folder = tmp_path / name
        machine = root / f"accelerate_configs/{machine}.yaml"
        outcome = run_recipe("plan", *flags, *more, "--machine", machine, "--output", folder)
        assert outcome.status == 0, outcome.err
        plans[name] = json.loads((folder / "plan.json").read_text())
        assert "GPU-hours" in outcome.out
    whole, lora = plans["whole"], plans["lora"]
    assert whole["rows"] == lora["rows"] == math.ceil(50_000 * 1000 / 8192)
    assert whole["steps"] == 3 * math.ceil(whole["rows"] / 64)
    assert whole["trained"] == whole["shape"]["parameters"] == 13_201_986_560
    # By hand, as in docs/data.md: 9.78e10 FLOPs a token, 40% of 312e12.
    assert whole["seconds"] * 8 == pytest.approx(whole["tokens"] * 9.78e10 / (0.4 * 312e12), rel=0.01)
    assert lora["seconds"] == pytest.approx(8 * whole["seconds"] * 2 / 3)
    # Rank 64 on seven matrices of each layer: 64 x (4 x (5120 + 5120) + 3 x (5120 + 13824)).
    assert lora["trained"] == 40 * 64 * (4 * 10_240 + 3 * 18_944)
    assert whole["fits"]
    assert lora["fits"]
    assert lora["memory"] > 2 * 13_201_986_560  # the frozen weights alone, in bf16
    unpacked = run_recipe("plan", *flags, "--packing", "false", "--max_steps", "10", "--machine", machine)
    assert "50,000, 10 steps" in unpacked.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--planned_dialogues", "0"], "planned_dialogues and mean_length must be at least 1"),
        (["--gpu", "abacus"], "abacus"),
        (["--adapter", "lora", "--lora_modules", "q_proj,qq"], "lora_modules: the plan knows q_proj, .*, not qq"),
    ],
)
def test_a_tuning_that_cannot_be_planned_is_one_line(run_recipe, root, flags, said):
    machine = ["--machine", root / "accelerate_configs" / "one_gpu.yaml"]
    outcome = run_recipe("plan", "--of", "chat_tune", *machine, *flags)
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert re.search(said, outcome.err)


def test_aligning_the_papers_model_by_each_reference(run_recipe, root, tmp_path):
    plans = {}
    for name, machine in (("align", "fsdp_1x8"), ("align_lora", "one_gpu")):
        outcome = run_recipe(
            "plan", "--of", "align", "--config", root / f"recipes/configs/13b/{name}.yaml", "--machine",
            root / f"accelerate_configs/{machine}.yaml", "--output", tmp_path / name,
        )  # fmt: skip
        assert outcome.status == 0, outcome.err
        assert "precomputed" in outcome.out
        plan = json.loads((tmp_path / name / "plan.json").read_text())
        assert plan["shape"]["parameters"] == 13_201_986_560
        plans[name] = {cost["reference"]: cost for cost in plan["costs"]}
    whole, lora = plans["align"], plans["align_lora"]
    assert set(whole) == {"precomputed", "model"}
    assert whole["precomputed"]["fits"]
    assert whole["model"]["memory"] - whole["precomputed"]["memory"] == pytest.approx(4 * 13_201_986_560 / 8)
    assert set(lora) == {"precomputed", "adapter_off", "model"}
    assert lora["adapter_off"]["fits"]
    assert lora["model"]["memory"] - lora["adapter_off"]["memory"] == pytest.approx(2 * 13_201_986_560)
    assert whole["precomputed"]["reference_seconds"] == pytest.approx(whole["precomputed"]["seconds"] / 4, rel=0.01)


def test_a_recipe_that_has_no_plan(run_recipe):
    outcome = run_recipe("plan", "--of", "chat")
    assert outcome.status == 2
    assert outcome.err == "error: --of must be one of pretrain, extend_context, chat_tune, align, not 'chat'\n"


def test_flags_win_over_both_files(run_recipe, root, tmp_path):
    outcome = run_recipe(
        "plan", "--config", root / "recipes/configs/13b/pretrain.yaml", "--machine",
        root / "accelerate_configs/fsdp_64x8.yaml", "--num_machines", "2", "--num_processes", "16",
        "--num_hidden_layers", "8", "--per_device_train_batch_size", "2", "--activation_checkpointing", "false",
        "--output", tmp_path,
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["layout"]["shard"] == 16
    assert plan["shape"]["num_hidden_layers"] == 8
    assert plan["work"]["accumulation"] * 16 * 2 * 2048 == 4_194_304
    assert not plan["work"]["checkpointing"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--gpu", "v100"), "unknown gpu 'v100'"),
        (("--machine", "nowhere.yaml"), "nowhere.yaml does not exist"),
        (("--num_processes", "8"), "need --machine"),
        (("--mfu", "0.4", "--tokens_per_second", "100"), "give one of them"),
        (("--price_per_gpu_hour", "-1"), "price_per_gpu_hour must be above 0"),
        (("--gpus", "a100-80gb"), "did you mean"),
        (("--machine", "accelerate_configs/cpu_2proc.yaml", "--num_processes", "3"), "not a multiple of"),
    ],
)
def test_mistakes_end_in_one_line(run_recipe, root, monkeypatch, flags, message):
    monkeypatch.chdir(root)
    outcome = run_recipe("plan", *flags)
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.err.startswith("error: ")
    assert len(outcome.err.strip().splitlines()) == 1
