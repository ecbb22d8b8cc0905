"""Japanese labels: drawn where the machine has a font for them, else told of."""

import warnings

import pytest
from matplotlib.figure import Figure

from nec13b import japanese_font
from nec13b.japanese_font import columns_of, is_wide, japanese_family, japanese_labels


def draw(path, text):
    figure = Figure(figsize=(3, 1), dpi=60)
    figure.add_subplot().set_title(text)
    figure.savefig(path)
    return path.read_bytes()


def test_japanese_labels_show_their_characters_where_there_is_a_font(tmp_path):
    if japanese_family() is None:
        pytest.skip("no Japanese font on this machine")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of glyphs that a font lacks
        with japanese_labels() as can:
            one, other = draw(tmp_path / "a.png", "勝率と引分"), draw(tmp_path / "b.png", "直接対決表")
    assert can
    assert one != other


def test_without_a_font_the_figure_is_told_so_and_nobody_else(monkeypatch, tmp_path):
    monkeypatch.setattr(japanese_font, "FAMILIES", ("A family that nobody has",))
    japanese_family.cache_clear()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with japanese_labels() as can:
                draw(tmp_path / "a.png", "勝率")
        assert not can
    finally:
        japanese_family.cache_clear()


def test_what_wants_a_japanese_font():
    assert is_wide("勝率")
    assert is_wide("ｘＹ")
    assert is_wide("gpt と")
    assert not is_wide("win rate 0.5 ± 0.1, é")
    assert columns_of("gpt と") == 6
