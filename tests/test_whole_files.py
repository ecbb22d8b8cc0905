import json

import pytest

from nec13b.whole_files import whole_file, whole_folder, write_figure, write_json_lines


def half_written(whole):
    with whole as building:
        (building / "half" if building.is_dir() else building).write_text("ha")
        raise OSError("no space")


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "page.txt"
    with whole_file(path) as building:
        building.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"
    assert [each.name for each in path.parent.iterdir()] == ["page.txt"]


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "page.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="no space"):
        half_written(whole_file(path))
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["page.txt"]


def test_a_folder_replaces_the_old_one(tmp_path):
    folder = tmp_path / "model"
    for name in ("one", "two"):
        with whole_folder(folder) as building:
            (building / name).touch()
    assert [each.name for each in folder.iterdir()] == ["two"]
    assert [each.name for each in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_could_not_be_filled_leaves_the_old_one(tmp_path):
    with whole_folder(tmp_path / "model") as building:
        (building / "whole").touch()
    with pytest.raises(OSError, match="no space"):
        half_written(whole_folder(tmp_path / "model"))
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "whole"]


def test_what_a_killed_process_left_behind_is_not_taken_over(tmp_path):
    (tmp_path / ".model.tmp").mkdir()
    (tmp_path / ".model.tmp" / "half").touch()
    with whole_folder(tmp_path / "model") as building:
        (building / "whole").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["model", "whole"]


def test_rows_are_written_a_line_each(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert write_json_lines(path, ({"text": text} for text in ("海\n", "b"))) == 2
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == [
        {"text": "海\n"},
        {"text": "b"},
    ]


def test_a_figure_is_a_png(tmp_path):
    from matplotlib.figure import Figure

    assert write_figure(tmp_path / "a.png", Figure()).read_bytes().startswith(b"\x89PNG")
