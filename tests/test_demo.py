"""The demo's commands, as make would run them: each takes its flags, and each is made of what another one makes."""

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def commands(folder) -> list[list[str]]:
    """The recipes and evaluations that `make demo` runs in an empty folder, with their flags."""
    printed = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "--file", "demo.mk", "BIN=bin", f"DEMO={folder}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.replace("\\\n", " ")  # fmt: skip
    found = [re.search(r"((?:recipes|evaluation)/\w+\.py) .*", line) for line in printed.splitlines()]
    return [shlex.split(match[0]) for match in found if match]


def test_every_stage_is_run_once_and_after_what_it_is_made_from(tmp_path):
    made: set[str] = set()
    for _, *flags in commands(tmp_path):
        output = flags[flags.index("--output_dir") + 1]
        named = {Path(value.split(",")[0].split("=")[-1]) for value in flags if str(tmp_path) in value} - {Path(output)}
        for path in named:
            assert path.relative_to(tmp_path).parts[0] in made, f"{flags} comes before {path}"
        stage = Path(output).relative_to(tmp_path).parts[0]
        assert stage not in made
        made.add(stage)
    assert {"clean", "tokenizer", "base", "long", "chat", "amplified", "preferences", "aligned", "export"} <= made
    assert list(commands(tmp_path))[-1][0] == "evaluation/report.py"


@pytest.mark.parametrize("number", range(len(commands("x"))))
def test_every_command_takes_its_flags(number, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    script, *flags = commands(tmp_path)[number]
    monkeypatch.setattr(sys, "argv", [script, *flags, "--dry_run"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    assert ended.value.code == 0, capfd.readouterr()
    assert not any(tmp_path.iterdir())


def test_what_is_newer_than_its_sources_is_not_run_again(tmp_path):
    for stage in ("dirty", "quality", "clean"):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "run.json").touch()
    scripts = [script for script, *_ in commands(tmp_path)]
    assert "recipes/clean_corpus.py" not in scripts
    assert scripts[0] == "recipes/train_tokenizer.py"
