"""The comparison on JGLUE as a user runs it, offline."""

import json
import runpy
import sys

import pytest

pytest.importorskip("lm_eval", reason="the extra nec13b[eval] is not installed")


@pytest.fixture
def evaluate(root, monkeypatch, capfd, tmp_path):
    """Runs the script with flags; its status and what it said."""

    def run(*flags):
        script = root / "evaluation" / "jglue.py"
        more = ["--jglue", "sample", "--max_answer_tokens", "8", "--output_dir", tmp_path / "out"]
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, [*more, *flags])])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
        said = capfd.readouterr()
        return ended.value.code, said.out + said.err

    return run


def test_models_are_compared_and_a_second_run_measures_what_is_missing(evaluate, tiny_checkpoint, tmp_path):
    out = tmp_path / "out"
    status, said = evaluate("--models", f"一号={tiny_checkpoint}", "--limit", "4", "--few_shot_seeds", "1", "2")
    assert status == 0, said
    assert "word for word jp-stable jsquad-1.1-0.3, 2 examples (by_question)" in said
    assert "prompts were longer than its window" in said
    first = json.loads((out / "measured" / "一号-nec13b_jsquad-seed1.json").read_text("utf-8"))
    assert [question["id"] for question in first["questions"]] == [f"valid0p{i}" for i in ("0q0", "0q1", "0q2", "1q0")]
    assert [question["group"] for question in first["questions"]] == [0, 0, 0, 1]
    assert set(first["scores"]) == {
        "exact_match", "exact_match_jp", "exact_match_jp_line", "exact_match_first", "f1"
    }  # fmt: skip
    assert first["protocol"]["few_shot_seed"] == 1
    assert first["protocol"]["versions"]["lm_eval"]

    status, said = evaluate(
        "--models", f"一号={tiny_checkpoint}", f"b={tiny_checkpoint}", "--limit", "4", "--few_shot_seeds", "1", "2"
    )
    assert status == 0, said
    assert "一号: nec13b_jsquad" not in said
    assert "b: nec13b_jcqa, seed 2 ..." in said
    assert "b less 一号" in said
    result = json.loads((out / "jglue.json").read_text("utf-8"))["tasks"]["nec13b_jcqa"]
    one, other = (result["models"][label]["scores"]["acc"] for label in ("一号", "b"))
    assert one == other  # the same weights
    assert len(one["by_seed"]) == 2
    assert one["low"] <= one["mean"] <= one["high"]
    assert result["difference_from_first"]["b"]["acc"] == {"mean": 0, "low": 0, "high": 0}
    assert (out / "jglue.png").stat().st_size > 10_000
    assert json.loads((out / "run.json").read_text())["stage"] == "jglue"

    status, said = evaluate("--models", f"一号={tiny_checkpoint}", "--limit", "5")
    assert status == 2
    assert "was measured with another limit" in said


def test_an_adapter_is_measured_on_its_base(evaluate, tiny_checkpoint, tmp_path):
    from peft import LoraConfig, get_peft_model

    from nec13b import Nec13bForCausalLM

    model = get_peft_model(
        Nec13bForCausalLM.from_pretrained(tiny_checkpoint), LoraConfig(r=2, target_modules="all-linear")
    )
    model.save_pretrained(tmp_path / "adapter")
    status, said = evaluate("--models", f"a={tmp_path / 'adapter'}", "--limit", "2", "--tasks", "nec13b_jcqa_chat",
                            "--chat_template", "true")  # fmt: skip
    assert status == 0, said
    assert "in the chat template" in said


def test_the_protocol_of_2023_has_its_examples_and_tokens(evaluate, tiny_checkpoint, tmp_path):
    status, said = evaluate("--models", f"a={tiny_checkpoint}", "--as_jp_stable", "true", "--limit", "3",
                            "--few_shot_seeds", "1")  # fmt: skip
    assert status == 0, said
    assert "word for word jp-stable jsquad-1.1-0.3, tokens as in jp-stable, 2 examples (jp_stable)" in said
    protocol = json.loads((tmp_path / "out" / "jglue.json").read_text("utf-8"))["tasks"]["nec13b_jcqa"]["protocol"]
    assert (protocol["examples"], protocol["as_jp_stable"]) == ("jp_stable", True)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--models", "nothing"], "'nothing' is not label=checkpoint"),
        (["--models", "a/b=x"], "without a slash"),
        (["--models", "a=x", "a=y"], "comes twice"),
        (["--models", "a=./nowhere"], "./nowhere does not exist"),
        (
            ["--models", "a={model}", "--tasks", "nec13b_jsqaud"],
            "there is no nec13b_jsqaud; did you mean nec13b_jsquad",
        ),
        (["--models", "a={model}", "--max_answer_tokens", "256"], "leaves no room for a prompt in a window of 256"),
        (["--models", "a={model}", "--jglue", "nowhere"], "nowhere, does not exist"),
        (["--models", "a=x", "--few_shot_seeds", "1", "1"], "few_shot_seeds must be one or more different numbers"),
        (["--models", "a=x", "--as_jp_stable", "true", "--few_shot_seeds", "1", "2"], "as_jp_stable has one seed"),
    ],
)
def test_a_mistake_is_said_in_a_line(evaluate, tiny_checkpoint, flags, said):
    status, output = evaluate(*(flag.format(model=tiny_checkpoint) for flag in flags))
    assert status == 2
    assert said in output
    assert "Traceback" not in output


@pytest.mark.parametrize("name", ["jglue", "jglue_parity"])
def test_presets_of_13b_ask_all_questions(root, name):
    from nec13b.jglue.comparison_config import JglueConfig
    from nec13b.recipe_config import parse_recipe_config

    path = root / "evaluation" / "configs" / "13b" / f"{name}.yaml"
    config = parse_recipe_config(JglueConfig, str(root / "evaluation" / "jglue.py"), ["--config", str(path)])
    assert (config.jglue, config.limit, config.max_answer_tokens) == (None, None, 256)
    assert config.as_jp_stable == (name == "jglue_parity")
