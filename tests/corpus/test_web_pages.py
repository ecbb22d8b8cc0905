"""Pages come out of WARC archives as text, in whatever encoding Japan has written them; the rest is counted."""

import io
import json

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from nec13b.corpus import Rejections, parse_sources, read_documents
from nec13b.corpus.web_pages import decode_page, main_text

BODY = [
    "図書館の時計が止まったのは、春の終わりの雨の日のことだった。誰も気づかないまま、昼休みが二時間も続いた。",
    "司書の山本さんは、脚立を持ってきて文字盤の裏をのぞき込み、小さな歯車が一つ欠けているのを見つけた。",
    "翌週、町の時計屋が新しい歯車を削って持ってきた。時計はまた動き出し、昼休みは一時間に戻った。",
]


def page(encoding="utf-8", declared=True, licence="") -> bytes:
    meta = f'<meta charset="{encoding}">' if declared else ""
    text = "".join(f"<p>{paragraph}</p>" for paragraph in BODY)
    menu = "<nav><ul><li><a href='/'>ホーム</a></li><li><a href='/map'>サイトマップ</a></li></ul></nav>"
    html = f"<html><head>{meta}<title>図書館の時計</title></head><body>{menu}<article><h1>図書館の時計</h1>{text}"
    return f"{html}</article><footer>{licence}<p>Copyright 2023</p></footer></body></html>".encode(encoding)


def write_warc(path, records) -> None:
    """Writes (url, payload, content type, status) as responses, between a warcinfo and a request record."""
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=path.suffix == ".gz")
        writer.write_record(writer.create_warcinfo_record("x.warc", {"software": "test"}))
        for url, payload, content_type, status in records:
            headers = StatusAndHeaders(status, [("Content-Type", content_type)], protocol="HTTP/1.1")
            writer.write_record(
                writer.create_warc_record(url, "response", payload=io.BytesIO(payload), http_headers=headers)
            )
            writer.write_record(
                writer.create_warc_record(url, "request", payload=io.BytesIO(b"GET / HTTP/1.1\r\n\r\n"))
            )


def read(path):
    rejections = Rejections(path.with_name("rejected.jsonl"))
    return list(read_documents(parse_sources(str(path)), rejections)), rejections


@pytest.mark.parametrize("name", ["crawl.warc", "crawl.warc.gz"])
def test_a_crawl_becomes_documents(tmp_path, name):
    path = tmp_path / name
    licence = '<a rel="license" href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a>'
    write_warc(
        path,
        [
            ("http://a.jp/utf8", page(licence=licence), "text/html; charset=utf-8", "200 OK"),
            ("http://a.jp/sjis", page("shift_jis"), "text/html", "200 OK"),
            ("http://a.jp/euc", page("euc-jp", declared=False), "text/html; charset=euc-jp", "200 OK"),
            ("http://a.jp/guess", page("shift_jis", declared=False), "text/html", "200 OK"),
            ("http://a.jp/picture.png", b"\x89PNG", "image/png", "200 OK"),
            ("http://a.jp/gone", page(), "text/html", "404 Not Found"),
            ("http://a.jp/empty", b"<html><body></body></html>", "text/html", "200 OK"),
        ],
    )
    documents, rejections = read(path)
    assert [document.url for document in documents] == [f"http://a.jp/{x}" for x in ("utf8", "sjis", "euc", "guess")]
    for document in documents:
        assert all(paragraph in document.text for paragraph in BODY), document.url
        assert "サイトマップ" not in document.text
        assert document.domain == "ja"
        assert document.source == "crawl"
    assert [document.licence for document in documents] == ["CC BY 4.0", "", "", ""]
    assert len({document.id for document in documents}) == 4
    assert rejections.counts == {
        "not a web page": 1, "page answered with an error or a redirect": 1, "no main text in the page": 1,
    }  # fmt: skip
    (note,) = map(json.loads, rejections.path.read_text().splitlines())
    assert note["excerpt"] == "http://a.jp/empty"


def test_plain_text_archives_are_read_as_they_are(tmp_path):
    path = tmp_path / "crawl.warc.wet"
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=False)
        headers = {"Content-Type": "text/plain"}
        record = writer.create_warc_record(
            "http://a.jp/", "conversion", payload=io.BytesIO("きょうは雨だ。".encode()), warc_headers_dict=headers
        )
        writer.write_record(record)
    documents, rejections = read(path)
    assert [(d.text, d.url) for d in documents] == [("きょうは雨だ。", "http://a.jp/")]
    assert not rejections.counts


@pytest.mark.parametrize("keep", [0.35, 0.6, 0.9])
@pytest.mark.parametrize("name", ["crawl.warc", "crawl.warc.gz"])
def test_an_archive_that_was_cut_gives_what_it_has(tmp_path, name, keep):
    path = tmp_path / name
    write_warc(path, [(f"http://a.jp/{i}", page(), "text/html; charset=utf-8", "200 OK") for i in range(20)])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    documents, rejections = read(path)
    assert 0 < len(documents) < 20
    assert [document.url for document in documents] == [f"http://a.jp/{i}" for i in range(len(documents))]
    assert list(rejections.counts) == ["archive ends early or is damaged; the rest of it was not read"]


def test_a_file_that_is_no_archive_is_noted(tmp_path):
    path = tmp_path / "crawl.warc.gz"
    path.write_bytes(b"this is not an archive" * 100)
    documents, rejections = read(path)
    assert not documents
    assert list(rejections.counts) == ["archive ends early or is damaged; the rest of it was not read"]


def test_html_files_of_a_folder(tmp_path):
    (tmp_path / "a.html").write_bytes(page("euc-jp"))
    (tmp_path / "b.html").write_bytes(b"<html></html>")
    documents, rejections = read(tmp_path)
    assert [d.id for d in documents] == [f"{tmp_path.name}/a.html"]
    assert BODY[1] in documents[0].text
    assert rejections.counts == {"no main text in the page": 1}


@pytest.mark.parametrize("html", ["", "<", "\0", "<html", "<p>" * 10_000, "&#xD800;", "<!--", "]]>"])
def test_hostile_pages_do_no_harm(html):
    text, licence = main_text(html)
    assert isinstance(text, str)
    assert isinstance(licence, str)
    text.encode()


def test_bytes_that_are_no_characters_are_marked():
    assert decode_page(b"<p>\xff\xfe\xfd</p>", "text/html; charset=utf-8").count("\ufffd") >= 1


def test_real_pages(tmp_path):
    """Debian's Japanese handbook pages, where they are installed."""
    from pathlib import Path

    pages = sorted(Path("/usr/share/debian-reference").glob("*.ja.html"))[:5]
    if not pages:
        pytest.skip("the Debian package debian-reference-ja is not installed")
    for path in pages:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    documents, _ = read(tmp_path)
    assert len(documents) >= 4
    assert {document.domain for document in documents} == {"ja"}
