"""docs/paper_to_code.md names files, commands, keys and tests that exist, and leaves out no recipe."""

import importlib.util
import re

import pytest
import yaml

COLUMNS = ("paper", "files", "command", "keys", "tests")
FOLDERS = ("accelerate_configs/", "evaluation/")  # of the repository; other files are the package's
NAMED = re.compile(r"`([^`]+)`")


@pytest.fixture(scope="module")
def rows(root) -> list[dict[str, str]]:
    """The rows of the table, by column."""
    lines = (root / "docs" / "paper_to_code.md").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert tuple(cells[0]) == COLUMNS
    assert all(len(row) == len(COLUMNS) for row in cells)
    return [dict(zip(COLUMNS, row)) for row in cells[2:]]


def named(rows, column: str) -> list[str]:
    return [name for row in rows for name in NAMED.findall(row[column])]


def presets(root) -> dict[str, dict]:
    """The 13B presets by file name."""
    return {path.name: yaml.safe_load(path.read_text()) for path in root.glob("*/configs/13b/*.yaml")}


def test_every_statement_has_files_a_command_and_a_test(rows):
    assert len(rows) > 30
    assert [row["paper"] for row in rows if not all(NAMED.search(row[c]) for c in ("files", "command", "tests"))] == []


def test_the_files_exist(root, rows):
    files = named(rows, "files")
    places = [root / name if name.startswith(FOLDERS) else root / "src" / "nec13b" / name for name in files]
    assert [str(place) for place in places if not place.exists()] == []


def test_the_commands_exist(root, rows):
    for command in named(rows, "command"):
        if command.startswith("python -m "):
            assert importlib.util.find_spec(command.removeprefix("python -m "))
        else:
            assert (root / command).is_file()


def test_the_keys_stand_in_the_presets(root, rows):
    known = presets(root)
    pairs = [key.split(":") for key in named(rows, "keys")]
    assert [f"{preset}:{key}" for preset, key in pairs if key not in known.get(preset, {})] == []


def test_the_tests_exist(root, rows):
    names = named(rows, "tests")
    missing = []
    for name in names:
        file, _, function = name.partition("::")
        path = root / "tests" / file
        if not path.is_file() or not re.search(rf"^def {function}\(", path.read_text(encoding="utf-8"), re.MULTILINE):
            missing.append(name)
    assert missing == []


def test_no_recipe_is_left_out(root, rows):
    recipes = {f"recipes/{path.name}" for path in (root / "recipes").glob("*.py")}
    # The dirty corpus is there to try the cleansing on; the paper has none.
    assert recipes - set(named(rows, "command")) == {"recipes/dirty_corpus.py"}
