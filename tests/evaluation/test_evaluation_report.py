"""The page of all evaluations, as a user makes it."""

import functools
import json
import runpy
import sys

import pytest

from nec13b.rakuda.matches import Match
from nec13b.rakuda.rakuda_config import ReportSettings
from nec13b.rakuda.report import write_report as write_rakuda_report


def number(mean):
    return {"mean": mean, "low": mean - 0.5, "high": mean + 0.5}


@pytest.fixture
def results(tmp_path):
    """Folders of the three evaluations: `chat` is in all of them, `base` in two, `他社` in one."""
    loss, jglue, rakuda = (tmp_path / name for name in ("loss", "jglue", "rakuda"))
    for folder in (loss, jglue):
        folder.mkdir()
    rows = {label: {"16-32": number(4.0), "32-64": number(mean), "short documents": number(9.0)}
            for label, mean in (("base", 3.25), ("chat", 3.5))}  # fmt: skip
    (loss / "loss_by_position.json").write_text(json.dumps({"window": 64, "loss": rows}))
    (loss / "loss_by_position.png").write_bytes(b"\x89PNG")
    scores = {"scores": {"exact_match": number(61.0), "f1": number(70.0)}}
    task = {"metrics": ["exact_match", "f1"], "models": {"chat": scores}, "protocol": {"shots": 2, "prompt": "<0.3>"}}
    (jglue / "jglue.json").write_text(json.dumps({"tasks": {"nec13b_jsquad": task}}))
    of_one = ((("chat", "他社"), "first"), (("他社", "base"), "first"), (("base", "chat"), "tie"))
    matches = [Match(f"q{i}", *pair, verdict) for i in range(4) for pair, verdict in of_one]
    write_rakuda_report(rakuda, matches, ReportSettings(resamples=100, pages=False), {})
    return loss, jglue, rakuda


@pytest.fixture
def run(root, monkeypatch, capfd, tmp_path):
    """Runs a command of the repository; its status and what it said."""
    monkeypatch.chdir(tmp_path)

    def run_it(script, *flags):
        monkeypatch.setattr(sys, "argv", [str(root / script), *map(str, flags)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(root / script), run_name="__main__")
        said = capfd.readouterr()
        return ended.value.code, said.out + said.err

    return run_it


@pytest.fixture
def report(run):
    return functools.partial(run, "evaluation/report.py")


def test_models_of_one_label_are_one_row(report, results, tmp_path):
    status, said = report("--results", *results, "--output_dir", "out")
    assert status == 0, said
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert list(found) == ["base", "chat", "他社"]
    assert found["chat"]["loss at 32-64"]["mean"] == 3.5
    assert found["chat"]["jsquad exact_match %"]["mean"] == 61
    assert found["chat"]["Rakuda win rate %"]["mean"] == pytest.approx(75)
    assert found["他社"]["jsquad exact_match %"] is None
    page = (tmp_path / "out" / "report.html").read_text()
    assert "&lt;0.3&gt;" in page
    assert "3.500 (3.000 to 4.000)" in page
    assert page.count("data:image/png") == 2  # there is no picture of JGLUE here
    assert "<script" not in page


def test_some_models_and_some_evaluations_will_do(report, results, tmp_path):
    status, said = report("--results", results[2], results[0], tmp_path / "nowhere", "--models", "base")
    assert status == 0, said
    found = json.loads((tmp_path / "runs" / "report" / "report.json").read_text())
    assert {label: list(row) for label, row in found.items()} == {"base": ["loss at 32-64", "Rakuda win rate %"]}


def test_two_folders_of_one_evaluation_stay_apart(report, results, tmp_path):
    other = tmp_path / "other"
    write_rakuda_report(other, [Match("q", "chat", "base", "first")], ReportSettings(resamples=100, pages=False), {})
    status, said = report("--results", results[2], other)
    assert status == 0, said
    found = json.loads((tmp_path / "runs" / "report" / "report.json").read_text())["chat"]
    assert [round(value["mean"]) for value in found.values()] == [75, 100]


def test_the_stages_stand_before_the_evaluations(run, report, results, tmp_path):
    """Records as the recipes write them, of judgements and preferences; the training's is shortened by hand."""
    for name, flags in (
        ("annotate_preferences", ["--take_in", "sample", "--output_dir", "way/annotation"]),
        ("prepare_preferences", ["--preferences", "way/annotation", "--output_dir", "way/preferences"]),
    ):
        status, said = run(f"recipes/{name}.py", *flags)
        assert status == 0, said
    (tmp_path / "way" / "base").mkdir()
    record = {"stage": "pretrain", "counts": {"parameters": 1234567}, "timings_seconds": {"total": 3725},
              "metrics": {"held_out_loss": {"ja": 2.5}, "held_out_loss_at_start": {"ja": 8.25}}}  # fmt: skip
    (tmp_path / "way" / "base" / "run.json").write_text(json.dumps(record))
    (tmp_path / "way" / "base" / "samples.md").write_text("<b>昔々")
    (tmp_path / "way" / "base" / "loss.png").write_bytes(b"\x89PNG")
    stages = ["way/base", "way/annotation", "way/preferences"]
    status, said = report("--results", results[2], "--stages", *stages, "--output_dir", "way/report", "--title", "A<b>")
    assert status == 0, said
    page = (tmp_path / "way" / "report" / "report.html").read_text()
    assert "<h1>A&lt;b&gt;</h1>" in page
    assert page.index("Pre-training") < page.index("Judgements") < page.index("Preferences") < page.index("Rakuda")
    for shown in ("1,234,567", "1 h 02 min", "8.250", "2.500", "&lt;b&gt;昔々", 'href="../annotation/report.html"'):
        assert shown in page
    assert page.count("data:image/png") == 2


def test_stages_alone_will_do(report, tmp_path):
    folder = tmp_path / "clean"
    folder.mkdir()
    counts = {"read": {"documents": 8}, "funnel": [{"step": "language", "documents": 2, "left": 6}]}
    (folder / "run.json").write_text(json.dumps({"stage": "clean_corpus", "counts": counts}))
    status, said = report("--stages", folder)
    assert status == 0, said
    page = (tmp_path / "runs" / "report" / "report.html").read_text()
    assert "width: 75.000%" in page
    assert "Another language" in page


def test_a_stage_without_a_record_is_refused_in_one_line(report, results, tmp_path):
    status, said = report("--results", *results, "--stages", tmp_path / "nowhere")
    assert status == 2
    assert "nowhere" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "record",
    [
        "nonsense",
        "[]",
        "{}",
        '{"stage": "clean_corpus", "counts": {"funnel": [{"step": 1}]}}',
        '{"stage": "side_by_side", "metrics": {"answers": {"x": 3}}}',
    ],
)
def test_a_record_of_another_make_is_refused_in_one_line(report, record, tmp_path):
    (tmp_path / "run.json").write_text(record)
    status, said = report("--stages", tmp_path)
    assert status == 2
    assert "run.json" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("flags", [[], ["--models", "x"], ["--results", "broken"]])
def test_what_does_not_fit_is_refused_in_one_line(report, results, tmp_path, flags):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "jglue.json").write_text('{"tasks": {"a": 1}}')
    if flags == ["--models", "x"]:
        flags = [*flags, "--results", str(results[0])]
    status, said = report(*flags)
    assert status == 2
    assert "Traceback" not in said
    assert any(part in said for part in ("no results lie in", "no model 'x'", "not of this version"))
