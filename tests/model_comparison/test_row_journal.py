"""Rows survive what happens to a file that was being written."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.errors import InputError
from nec13b.model_comparison.row_journal import RowJournal


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(), min_size=1, max_size=6), cut=st.integers(0, 200))
def test_a_cut_file_keeps_its_whole_rows_and_goes_on(tmp_path_factory, texts, cut):
    path = tmp_path_factory.mktemp("journal") / "rows.jsonl"
    rows = [{"model": "m", "n": n, "answer": text} for n, text in enumerate(texts)]
    RowJournal(path, ("model", "n")).add(rows)
    data = path.read_bytes()
    path.write_bytes(data[: max(0, len(data) - cut)])
    journal = RowJournal(path, ("model", "n"))
    kept = list(journal.rows.values())
    assert kept == rows[: len(kept)]
    journal.add(rows[len(kept) :])
    assert [json.loads(line) for line in path.read_bytes().splitlines()] == rows
    assert RowJournal(path, ("model", "n")).rows == journal.rows


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"n": 2}', "line 2: no ModelRow can be read in the line; remove the line"),
        ("no JSON", "line 2: no ModelRow can be read in the line; remove the line"),
        ('{"model": "m"}', "a row has no 'n'"),
    ],
)
def test_a_whole_line_that_is_no_row_is_named(tmp_path, line, said):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"model": "m", "n": 1}}\n{line}\n')
    with pytest.raises(InputError, match=said):
        RowJournal(path, ("model", "n"))


def test_lone_surrogates_are_written_so_that_the_line_can_be_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    RowJournal(path, ("n",)).add([{"model": "m", "n": 1, "answer": "\ud83d"}])
    assert list(RowJournal(path, ("n",)).rows) == [(1,)]
