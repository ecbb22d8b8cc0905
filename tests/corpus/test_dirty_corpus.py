"""The dirtied corpus says of every row what it is, and is the same whenever it is made."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.corpus import parse_sources, read_documents
from nec13b.corpus.dirty_corpus import DirtyCorpusConfig, dirty_rows, edited, write_dirty_corpus
from nec13b.errors import InputError

TEXT = st.text(alphabet="あいうえおかきくけこ漢字。", max_size=200)


@given(TEXT, st.floats(0, 1), st.integers(0, 99))
def test_as_many_characters_are_edited_as_asked_for(text, rate, seed):
    count = round(rate * len(text))
    other = edited(text, rate, random.Random(seed))
    assert abs(len(other) - len(text)) <= count
    assert set(other) <= set(text)
    if not count:
        assert other == text
    assert other == edited(text, rate, random.Random(seed))


def test_every_row_says_what_it_is(sample):
    documents = [d for d in sample if d.domain == "ja"][:60] + [d for d in sample if d.domain == "code"][:30]
    config = DirtyCorpusConfig(
        dirty_share=1, copy_share=0.5, near_copy_share=0.5, personal_data_share=0, framed_share=0
    )
    rows = list(dirty_rows(documents, config))
    texts = {document.id: document.text for document in documents}
    kinds = Counter(row["kind"] for row in rows)
    assert kinds["clean"] == len(documents)
    assert kinds["copy"] % 2 == 0
    for row in rows:
        same = row["text"] == texts[row["source"]]
        assert same == (row["kind"] in ("clean", "copy")), row["kind"]
    assert rows == list(dirty_rows(documents, config))


def test_files_are_written_whole_or_not_at_all(sample, tmp_path):
    documents = [d for d in sample if d.domain == "en"][:20]

    def breaking():
        yield from documents[:10]
        raise KeyboardInterrupt

    config = DirtyCorpusConfig(output_dir=str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        write_dirty_corpus(breaking(), config)
    assert list(tmp_path.iterdir()) == []
    counts = write_dirty_corpus(documents, config)
    assert [path.name for path in tmp_path.iterdir()] == ["en.jsonl.zst"]
    unreadable = counts["en"].pop("unreadable")
    assert unreadable == config.unreadable_lines
    read = list(read_documents(parse_sources(str(tmp_path))))
    assert Counter(document.kind for document in read) == counts["en"]
    with pytest.raises(InputError, match="no usable document"):
        write_dirty_corpus([], config)
