"""Of texts that are equal but for white space the first stays, and the others say which one that was."""

import tempfile
from pathlib import Path

import numpy as np
from datatrove.data import Document as Row
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.corpus.blocks import RowWriter, part_file, read_rows
from nec13b.corpus.duplicates import DropDuplicates, FindExactDuplicates, WriteTextHashes, divisions, hash_of_text

TEXTS = st.sampled_from(["", "あ", "あ い", "い", "う", "う "])


def rows_of(texts: list[str], part: int) -> list[Row]:
    """The rows of a part, as ReadRows gives them."""
    return [Row(text, f"{part}:{i}", metadata={"row": i}) for i, text in enumerate(texts)]


def exact_duplicates(parts: list[list[str]], folder: Path, splits: int = 3) -> tuple[list[list[str]], list[dict]]:
    """(ids that are kept of each part, rows that are dropped)."""
    hashes, identifiers, found, dropped = (folder / name for name in ("hashes", "identifiers", "found", "dropped"))
    for part, texts in enumerate(parts):
        WriteTextHashes(hashes, identifiers, splits).run(iter(rows_of(texts, part)), part, len(parts))
    for split in range(splits):
        FindExactDuplicates(hashes, found).run(None, split, splits)
    kept = []
    for part, texts in enumerate(parts):
        step = DropDuplicates(found, identifiers, "exact_duplicates", RowWriter(dropped))
        kept.append([row.id for row in step.run(iter(rows_of(texts, part)), part, len(parts))])
    return kept, [row for part in range(len(parts)) for row in read_rows(part_file(dropped, part))]


def test_the_first_stays_and_the_others_name_it(tmp_path):
    kept, dropped = exact_duplicates([["甲", "乙"], [], ["丙", " 乙\n", "甲", "丙"]], tmp_path)
    assert kept == [["0:0", "0:1"], [], ["2:0"]]
    assert [(row["id"], row["reason"], row["detail"]) for row in dropped] == [
        ("2:1", "exact_duplicates", "duplicate of 0:1"),
        ("2:2", "exact_duplicates", "duplicate of 0:0"),
        ("2:3", "exact_duplicates", "duplicate of 2:0"),
    ]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(TEXTS, max_size=5), max_size=4), st.integers(1, 5))
def test_one_of_each_is_left_and_it_is_the_first(parts, splits):
    with tempfile.TemporaryDirectory() as folder:
        kept, dropped = exact_duplicates(parts, Path(folder), splits)
    first: dict[str, str] = {}
    for part, texts in enumerate(parts):
        for i, text in enumerate(texts):
            first.setdefault("".join(text.split()), f"{part}:{i}")
    assert sorted(identifier for part in kept for identifier in part) == sorted(first.values())
    for row in dropped:
        assert row["detail"] == f"duplicate of {first[''.join(row['text'].split())]}"


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.integers(1, 7))
def test_divisions_are_ranges_of_equal_width(hashes, splits):
    hashes = np.array(sorted(hashes), np.uint64)
    for split, members in enumerate(np.split(hashes, divisions(hashes, splits))):
        assert all(int(value) * splits >> 64 == split for value in members)


def test_white_space_does_not_count_and_all_else_does():
    assert hash_of_text("あ い\u3000う\n") == hash_of_text("あいう")
    assert hash_of_text("あいう") != hash_of_text("あいう。")
