"""The recipe without a server: report, exports, what is taken in, and who may not be served."""

import json

import pytest

SAID = [
    {"pair": "sample/rice", "annotator": "ken", "verdict": "first_better", "shown_first": "second", "seconds": 12.5},
    {"pair": "sample/rice", "annotator": "mei", "verdict": "first_slightly_better"},
    {"pair": "sample/keigo", "annotator": "ken", "verdict": "second_better", "reasons": ["wrong"]},
    {"pair": "sample/sum", "annotator": "ken", "verdict": "first_better"},
    {"pair": "sample/haiku", "annotator": "ken", "verdict": "tie"},
]


@pytest.fixture
def said(tmp_path):
    path = tmp_path / "said.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in SAID))
    return path


def test_judgements_from_elsewhere_make_preferences_and_a_report(run_recipe, said, tmp_path):
    folder = tmp_path / "out"
    assert "5 judgements taken in" in run_recipe("annotate_preferences", "--output_dir", folder, "--take_in", said).out
    outcome = run_recipe("annotate_preferences", "--output_dir", folder, "--report")
    assert (outcome.status, outcome.err) == (0, "")
    assert "4 of 20 judgements, 2 preferences" in outcome.out
    rows = [json.loads(line) for line in (folder / "preferences.jsonl").open(encoding="utf-8")]
    assert [(row["id"], row["strength"]) for row in rows] == [("sample/keigo", "clear"), ("sample/rice", "clear")]
    record = json.loads((folder / "run.json").read_text())
    assert record["counts"] == {"pairs": 10, "judged": 4, "wanted": 20, "preferences": 2}
    assert record["inputs"]["tasks"].startswith("sha256:")
    assert "planted checks" in (folder / "report.html").read_text()
    outcome = run_recipe("annotate_preferences", "--output_dir", folder, "--export", "argilla")
    assert str(folder / "argilla.json") in outcome.out
    assert len(json.loads((folder / "argilla.json").read_text())) == 12


def test_a_review_leaves_the_folder_of_the_amplification_alone(run_recipe, tmp_path):
    item = {
        "id": "a",
        "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}],
        "new_from": 1,
    }
    (tmp_path / "review.jsonl").write_text(json.dumps(item) + "\n")
    outcome = run_recipe("annotate_preferences", "--review", tmp_path, "--report")
    assert "1 dialogues await review" in outcome.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["review", "review.jsonl"]
    assert json.loads((tmp_path / "review" / "run.json").read_text())["counts"]["waiting"] == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--host", "0.0.0.0"], "needs logins: set NEC13B_ANNOTATORS"),
        (["--allowed_hosts", "annotate.example.org"], "needs logins"),
        (["--port", "99999"], "port must be"),
        (["--export", "xml"], "export must be one of"),
        (["--export", "datasets"], "no preference has come"),
        (["--pairs", "missing.jsonl"], "missing.jsonl cannot be read"),
        (["--take_in", "missing.json"], "missing.json cannot be read"),
        (["--judgements_per_pair", "0"], "judgements_per_pair must be"),
        (["--min_margin", "3"], "min_margin must lie"),
        (["--guidelines", "missing.md", "--port", "0"], "guidelines missing.md"),
    ],
)
def test_mistakes_are_one_line(run_recipe, monkeypatch, tmp_path, flags, said):
    monkeypatch.delenv("NEC13B_ANNOTATORS", raising=False)
    outcome = run_recipe("annotate_preferences", "--output_dir", tmp_path / "out", *flags)
    assert outcome.status == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_recorded_judgements_of_the_sample_become_preferences(run_recipe, tmp_path):
    done = run_recipe("annotate_preferences", "--take_in", "sample", "--output_dir", tmp_path / "annotation")
    assert done.status == 0, done.out + done.err
    assert "24 judgements taken in; 0 were known, 0 are of no pair here" in done.out
    assert "20 of 20 judgements, 9 preferences" in done.out  # two pairs are checks, on one people differ
    again = run_recipe("annotate_preferences", "--take_in", "sample", "--output_dir", tmp_path / "annotation")
    assert "0 judgements taken in; 24 were known" in again.out
