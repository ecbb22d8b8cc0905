"""Documents come whole out of every kind of file, and what is broken is counted and set aside."""

import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from nec13b.corpus import Document, Rejections, Source, domain_of_text, is_held_out, parse_sources, read_documents
from nec13b.corpus.reading import read_part
from nec13b.corpus.sources import parts_of
from nec13b.errors import InputError

TEXTS = ["春はあけぼの。\n", "Tea is ready.\n", "一行目だ。\n二行目\n"]


def read(entry, **options):
    rejections = Rejections()
    documents = list(read_documents(parse_sources(entry), rejections, **options))
    return documents, dict(rejections.counts)


def rows(texts=TEXTS) -> bytes:
    return "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts).encode()


def write_parquet(path, data):
    pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS}), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.jsonl", lambda path, data: path.write_bytes(data)),
        ("a.jsonl.gz", lambda path, data: path.write_bytes(gzip.compress(data))),
        ("a.jsonl.zst", lambda path, data: path.write_bytes(zstandard.compress(data))),
        ("a.parquet", write_parquet),
    ],
)
def test_rows_of_every_format(tmp_path, name, write):
    write(tmp_path / name, rows())
    documents, rejected = read(str(tmp_path / name))
    assert [document.text for document in documents] == TEXTS
    assert [document.domain for document in documents] == ["ja", "en", "ja"]
    assert not rejected


def test_several_zstandard_frames_in_one_file_are_all_read(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstandard.compress(rows(TEXTS[:1])) + zstandard.compress(rows(TEXTS[1:])))
    assert [document.text for document in read(str(path))[0]] == TEXTS


def test_a_folder_of_text_and_code(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "essay.txt").write_text("\ufeff雨の日の話をしよう。", encoding="utf-8")
    (tmp_path / "tool.py").write_text("print(1)\n")
    (tmp_path / "notes.md.gz").write_bytes(gzip.compress(b"A note."))
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / ".hidden.txt").write_text("no")
    documents, rejected = read(str(tmp_path))
    assert sorted((d.domain, d.text) for d in documents) == [
        ("code", "print(1)\n"),
        ("en", "A note."),
        ("ja", "雨の日の話をしよう。"),
    ]
    assert not rejected


def test_patterns_options_and_mappings(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"body": name, "lang": "de"}) + "\n")
    entry = f"{tmp_path}/*.jsonl,text_field=body"
    assert [(d.text, d.domain) for d in read(entry)[0]] == [("a", "de"), ("b", "de")]
    mapping = {"location": f"{tmp_path}/a.jsonl", "text_field": "body", "domain": "web"}
    assert [(d.text, d.domain) for d in read(json.dumps(mapping))[0]] == [("a", "web")]
    assert read(mapping)[0] == read(json.dumps(mapping))[0]


def test_a_hub_data_set_is_read_by_the_same_config(tmp_path):
    """A folder in the Hub's layout stands in for the Hub; datasets loads both by the same call."""
    pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS}), tmp_path / "train.parquet")
    documents, _ = read(f"hub:{tmp_path},domain=ja")
    assert [(d.text, d.domain) for d in documents] == [(text, "ja") for text in TEXTS]


def test_a_hub_data_set_that_cannot_be_reached_is_one_line():
    with pytest.raises(InputError, match="cannot open Hub data set 'nobody/nothing'") as error:
        read("hub:nobody/nothing")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "half', "broken JSON"),
        (b'{"text": "\xff\xfe"}', "invalid UTF-8"),
        (b'{"text": "\\ud800"}', "lone surrogate (not valid Unicode)"),
        (b'{"text": 3}', "no text in field 'text'"),
        (b'{"body": "x"}', "no text in field 'text'"),
        (b"[1, 2]", "no text in field 'text'"),
        (b'{"text": " \\n "}', "empty text"),
        (b"[" * 100_000, "broken JSON"),
        (b'{"text": "' + b"x" * 2000 + b'"}', "longer than max_document_characters (1,000)"),
        (b'{"text": "' + b"x" * 80_000 + b'"}', "line longer than 77,536 bytes"),
    ],
)
def test_a_bad_line_is_set_aside_and_its_neighbours_are_kept(tmp_path, line, reason):
    path = tmp_path / "a.jsonl"
    path.write_bytes(rows(TEXTS[:1]) + line + b"\n" + rows(TEXTS[1:]))
    rejections = Rejections(tmp_path / "rejected.jsonl")
    documents = list(read_documents(parse_sources(str(path)), rejections, max_document_characters=1000))
    assert [document.text for document in documents] == TEXTS
    noted = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    if line.startswith(b"[["):  # too long for the limit before it is parsed at all
        reason = "line longer than 77,536 bytes"
    assert [(note["source"], note["line"], note["reason"]) for note in noted] == [(str(path), 2, reason)]


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_compressed_file_cut_in_half_gives_what_it_has(tmp_path, suffix):
    texts = [f"第{i}段。{'雨' * (i % 50)}" for i in range(20_000)]
    data = rows(texts)
    whole = gzip.compress(data) if suffix == "gz" else zstandard.compress(data)
    path = tmp_path / f"a.jsonl.{suffix}"
    path.write_bytes(whole[: len(whole) // 2])
    documents, rejected = read(str(path))
    assert 0 < len(documents) < len(texts)
    assert [document.text for document in documents] == texts[: len(documents)]
    assert rejected
    assert all(reason.startswith("file ends early") for reason in rejected)


def test_damaged_parquet_and_text_files_are_counted(tmp_path):
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not really")
    (tmp_path / "bad.txt").write_bytes("途中で".encode()[:-1])
    (tmp_path / "good.txt").write_text("A good one.")
    documents, rejected = read(str(tmp_path))
    assert [document.text for document in documents] == ["A good one."]
    assert rejected == {"not a readable Parquet file": 1, "invalid UTF-8": 1}


def test_a_document_of_fifty_megabytes_is_set_aside(tmp_path):
    (tmp_path / "dump.jsonl").write_bytes(b'{"text": "' + b"x" * 50_000_000 + b'"}\n' + rows())
    documents, rejected = read(str(tmp_path))
    assert len(documents) == 3
    assert sum(rejected.values()) == 1


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("nowhere.jsonl", "does not exist"),
        ("nowhere/*.jsonl", "matches no file"),
        ("a.jsonl,langauge=ja", "unknown option 'langauge'"),
        ("a.jsonl,ja", "'ja' is not option=value"),
        ("a.jsonl,domain=../x", "a domain is up to 32"),
        ([], "corpus is empty"),
        ('{"location": ', "is not JSON"),
    ],
)
def test_a_bad_entry_is_found_before_any_work(entry, said):
    with pytest.raises(InputError, match=said):
        parse_sources(entry)


def test_an_unknown_file_type_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no JSONL"):
        parse_sources(str(tmp_path))
    (tmp_path / "a.xlsx").write_text("x")
    with pytest.raises(InputError, match="unknown type"):
        parse_sources(str(tmp_path / "a.xlsx"))


def test_parquet_without_the_text_column_names_what_it_has(tmp_path):
    pyarrow.parquet.write_table(pyarrow.table({"body": TEXTS}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="no column 'text' \\(it has body\\)"):
        read(str(tmp_path / "a.parquet"))


@given(st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_the_split_is_monotone_in_its_fraction(text, a, b):
    document = Document(text, "ja", "x")
    small, large = sorted((a, b))
    assert is_held_out(document, large) or not is_held_out(document, small)
    assert not is_held_out(document, 0)
    assert is_held_out(document, 1)


def test_the_split_keeps_its_fraction_and_groups_together():
    documents = [Document(f"text {i}", "en", "x") for i in range(20_000)]
    assert 0.045 < sum(is_held_out(d, 0.05) for d in documents) / len(documents) < 0.055
    grouped = {is_held_out(Document(f"text {i}", "en", "x", group="one"), 0.5) for i in range(50)}
    assert len(grouped) == 1


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("これは本です。", "ja"),
        ("This is a book.", "en"),
        ("学校", "en"),
        ("", "en"),
        ("JAXAのロケットが飛んだ。", "ja"),
    ],
)
def test_domain_by_script(text, domain):
    assert domain_of_text(text) == domain


def test_a_source_of_the_sample_may_be_one_domain():
    documents = list(read_documents([Source("sample", domain="ja")]))
    assert {document.domain for document in documents} == {"ja"}


def test_real_corpora_are_read_whole(data):
    documents, rejected = read(f"{data}/corpus_sample/*_docs.jsonl.gz")
    assert len(documents) == 1592 + 109
    assert {document.domain for document in documents} == {"ja", "en"}
    assert not rejected


def test_a_long_document_of_escaped_characters_is_no_long_line(tmp_path):
    text = "雨" * 900 + "\U00020b9f" * 90
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text}) + "\n")  # six or twelve bytes a character
    (document,), rejected = read(str(tmp_path / "a.jsonl"), max_document_characters=1000)
    assert document.text == text
    assert not rejected


def test_a_compressed_text_that_was_cut_is_not_taken_for_whole(tmp_path):
    whole = zstandard.compress("".join(f"第{i}段。" for i in range(50_000)).encode())
    (tmp_path / "a.txt.zst").write_bytes(whole[:-9])
    assert read(str(tmp_path / "a.txt.zst")) == ([], {"file ends early or is damaged": 1})


def test_parquet_rows_that_are_not_utf8_are_set_aside(tmp_path):
    texts = pyarrow.array([TEXTS[0].encode(), b"\xff\xfe", TEXTS[1].encode()]).cast(pyarrow.binary())
    texts = pyarrow.Array.from_buffers(pyarrow.string(), 3, texts.buffers())
    pyarrow.parquet.write_table(pyarrow.table({"text": texts}), tmp_path / "a.parquet")
    documents, rejected = read(str(tmp_path / "a.parquet"))
    assert [document.text for document in documents] == TEXTS[:2]
    assert rejected == {"invalid UTF-8": 1}


def test_a_later_parquet_file_without_the_column_is_noted(tmp_path):
    write_parquet(tmp_path / "a.parquet", None)
    pyarrow.parquet.write_table(pyarrow.table({"body": TEXTS}), tmp_path / "b.parquet")
    documents, rejected = read(str(tmp_path))
    assert len(documents) == 3
    assert rejected == {"no column 'text'": 1}


def test_a_split_counts_only_where_the_cleansing_has_set_it(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "x", "split": "held_out"}) + "\n")
    assert read(str(tmp_path / "a.jsonl"))[0][0].split == ""


@pytest.mark.parametrize(
    ("fields", "domain"),
    [
        ({"lang": "jpn_Jpan"}, "ja"),
        ({"lang": "ja-JP"}, "ja"),
        ({"lang": "EN"}, "en"),
        ({"lang": "eng"}, "en"),
        ({"lang": "deu"}, "deu"),
        ({"lang": "code"}, "code"),
        ({"lang": "Japanese"}, "ja"),  # no code: by script
        ({"domain": "web/news"}, "ja"),  # no name for a file: by script
        ({"domain": "news", "lang": "en"}, "news"),
        ({}, "ja"),
    ],
)
def test_the_domain_that_a_row_names(tmp_path, fields, domain):
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": TEXTS[0], **fields}) + "\n")
    assert read(str(tmp_path / "a.jsonl"))[0][0].domain == domain


def test_small_files_share_a_part_and_large_ones_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr("nec13b.corpus.sources.PART_BYTES", 1000)
    sizes = [100, 200, 600, 400, 2000, 10, 20]
    for i, size in enumerate(sizes):
        (tmp_path / f"{i}.txt").write_text("x" * size)
    parts = parts_of(parse_sources(str(tmp_path)))
    groups = [[int(path.rsplit("/", 1)[1].removesuffix(".txt")) for path, _ in part.files] for part in parts]
    assert groups == [[0, 1, 2], [3], [4], [5, 6]]
    monkeypatch.setattr("nec13b.corpus.sources.MOST_PARTS", 1)
    assert len(parts_of(parse_sources(str(tmp_path)))) == 1


def test_shards_of_a_hub_data_set_are_parts(tmp_path):
    for i in range(2):
        pyarrow.parquet.write_table(pyarrow.table({"text": [f"{text}{i}" for text in TEXTS]}),
                                    tmp_path / f"train-{i}.parquet")  # fmt: skip
    sources = parse_sources(f"hub:{tmp_path},domain=ja,label=two")
    parts = parts_of(sources, split_hub=True)
    read_apart = [document for part in parts for document in read_part(part, Rejections())]
    assert [document.text for document in read_apart] == [f"{text}{i}" for i in range(2) for text in TEXTS]
    assert len({document.id for document in read_apart}) == 6
    assert [d.text for d in read_documents(sources)] == [d.text for d in read_apart]
