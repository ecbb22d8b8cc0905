"""A small corpus with all that a real one has in it: good text, dirt, copies, pages of sites, and broken files."""

import gzip
import json
from pathlib import Path

import pytest

from nec13b.corpus.dirty_corpus import DirtyCorpusConfig, dirty_rows


@pytest.fixture(scope="session")
def write_rows():
    """Writes mappings as JSONL, compressed if the file is named so."""

    def write(path: Path, rows) -> None:
        data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)

    return write


@pytest.fixture(scope="session")
def messy_corpus(sample, write_rows, tmp_path_factory) -> Path:
    """A folder of six files; about 500 documents in three domains."""
    folder = tmp_path_factory.mktemp("messy")
    settings = DirtyCorpusConfig(dirty_share=0.6, copy_share=0.1, near_copy_share=0.1, framed_share=0.8)
    for domain, step in (("ja", 1), ("en", 16), ("code", 9)):
        documents = [d for d in sample if d.domain == domain and len(d.text) < 20_000][::step]
        rows = list(dirty_rows(documents, settings))
        if domain == "ja":  # in two files, so that duplicates lie across them
            write_rows(folder / "ja-0.jsonl.gz", rows[: len(rows) // 2])
            write_rows(folder / "ja-1.jsonl", rows[len(rows) // 2 :] + rows[:6])
        else:
            write_rows(folder / f"{domain}.jsonl", rows)
    (folder / "empty.jsonl").write_bytes(b"")
    whole = (folder / "ja-0.jsonl.gz").read_bytes()
    (folder / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    return folder
