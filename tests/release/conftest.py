"""Artifacts for the tests of the release come from the commands themselves, in this process for speed."""

import runpy
import sys

import pytest


@pytest.fixture(scope="module")
def complete(root):
    """Runs a script of the repository, `recipes/clean_corpus.py`, and makes sure that it came to its end."""

    def run(script: str, *flags) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [str(root / script), *map(str, flags)])
            with pytest.raises(SystemExit) as ended:
                runpy.run_path(str(root / script), run_name="__main__")
        assert ended.value.code == 0

    return run
