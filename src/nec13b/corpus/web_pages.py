"""Text out of web pages: WARC archives (and their plain-text WET form) and HTML files.

The main text of a page is found by trafilatura, with the options of FineWeb (favour precision, no comments). It works
in a process of its own, so that a page which hangs or exhausts the memory costs that page only. The encoding is found
as browsers do: byte order mark, HTTP header, the page's own declaration, and only then by guessing (w3lib).
"""

import logging
import multiprocessing
from pathlib import Path

from charset_normalizer import from_bytes
from datatrove.pipeline.extractors.base import ExtractorSandbox
from loguru import logger
from w3lib.encoding import html_to_unicode

from .child_processes import end_with_parent
from .documents import Rejections
from .file_formats import BROKEN_FILE, Rows, open_file

SECONDS_FOR_A_PAGE = 60  # far above what any sane page takes, so that a busy machine does not decide what is kept
RECORD_ENDS = (b"\r\n\r\n", b"\n\n")
# datatrove would tell of every process that it has ended; what matters is noted beside the documents.
logger.disable("datatrove.pipeline.extractors")
HTML_TYPES = ("text/html", "application/xhtml+xml")


def main_text(html: str) -> tuple[str, str]:
    """(main text, licence if the page links to a Creative Commons one) of a page; the text may be empty."""
    import trafilatura
    from trafilatura.metadata import extract_license

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    tree = trafilatura.load_html(html) if html else None
    if tree is None:
        return "", ""
    licence = extract_license(tree) or ""
    return trafilatura.extract(tree, favor_precision=True, include_comments=False) or "", licence


def decode_page(data: bytes, content_type: str | None = None) -> str:
    """The characters of a page; bytes that make none in its encoding become U+FFFD."""
    return html_to_unicode(content_type, data, auto_detect_fun=_guess_encoding)[1]


def _guess_encoding(data: bytes) -> str | None:
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        best = from_bytes(data[:20_000]).best()
        return best.encoding if best else None


class _Sandbox(ExtractorSandbox):
    """datatrove's process for hostile work, which also ends when the one it works for is killed."""

    def _worker(self, conn, extract_fn) -> None:
        end_with_parent(multiprocessing.parent_process().pid)
        self.parent_conn.close()  # its copy of the other end would keep the pipe open for ever
        super()._worker(conn, extract_fn)


class PageReader:
    """Extracts pages one after another in a process of its own, which the first page starts; a context manager."""

    def __init__(self):
        self.sandbox = _Sandbox(timeout=SECONDS_FOR_A_PAGE)

    def __enter__(self) -> "PageReader":
        return self

    def __exit__(self, *error) -> None:
        if self.sandbox.all_processes:
            self.sandbox.__exit__(*error)

    def text(
        self,
        data: bytes,
        place: tuple[str, int | None],
        rejections: Rejections,
        content_type: str | None = None,
        url: str = "",
    ) -> tuple[str, str]:
        """(main text, licence) of a page; both are empty where there is no text.

        Args:
            data: the page.
            place: (file, number of the record) for the note if there is no text.
            rejections: takes the note.
            content_type: the HTTP header, if there is one.
            url: the address, if it is known.
        """
        try:
            text, licence = self.sandbox.process_document(decode_page(data, content_type), main_text)
        except TimeoutError:
            rejections.add(*place, f"page took longer than {SECONDS_FOR_A_PAGE} seconds", url)
        except Exception as error:  # whatever a parser may raise on hostile HTML, or its process dying
            rejections.add(*place, "page cannot be parsed", f"{url} {error}")
        else:
            if text.strip():
                return text, licence
            rejections.add(*place, "no main text in the page", url or data[:200])
        return "", ""


def rows_of_warc(path: Path, text_field: str, rejections: Rejections, max_bytes: int, pages: PageReader) -> Rows:
    """The pages of a WARC or WET archive; requests, metadata, pictures and failed answers are counted, not noted."""
    from warcio.archiveiterator import ArchiveIterator
    from warcio.exceptions import ArchiveLoadFailed

    number = 0
    try:
        # Decompressed here and not by warcio, which takes a cut gzip member for the end of the archive.
        with open_file(path) as file:
            stream = _UpToTheDamage(file)
            for number, record in enumerate(ArchiveIterator(stream), start=1):
                if record.rec_type not in ("response", "conversion"):
                    continue
                header = (record.http_headers or record.rec_headers).get_header("Content-Type") or ""
                url = record.rec_headers.get_header("WARC-Target-URI") or ""
                is_text = record.rec_type == "conversion" and header.startswith("text/plain")
                if not is_text and header.split(";")[0].strip().lower() not in HTML_TYPES:
                    rejections.counts["not a web page"] += 1
                    continue
                if record.http_headers and not (record.http_headers.get_statuscode() or "").startswith("2"):
                    rejections.counts["page answered with an error or a redirect"] += 1
                    continue
                data = record.content_stream().read(max_bytes + 1)
                if len(data) > max_bytes:
                    rejections.add(str(path), number, f"page longer than {max_bytes:,} bytes", url)
                elif _is_cut(record):
                    break
                elif is_text:
                    yield number, {text_field: data.decode("utf-8", errors="replace"), "url": url}
                else:
                    text, licence = pages.text(data, (str(path), number), rejections, header, url)
                    if text:
                        yield number, {text_field: text, "url": url, "licence": licence}
            if stream.damage or not stream.end.endswith(RECORD_ENDS) or _is_cut(record):
                raise stream.damage or EOFError("the last record is cut")
    except (ArchiveLoadFailed, ValueError, *BROKEN_FILE) as error:
        rejections.add(
            str(path), number + 1, "archive ends early or is damaged; the rest of it was not read", str(error)
        )


def _is_cut(record) -> bool:
    """Whether a record that was read to its end has fewer bytes than its header says."""
    return getattr(record.raw_stream, "limit", 1) > 0


class _UpToTheDamage:
    """A file of which everything can be read that comes before the place where it is damaged.

    Attributes:
        damage: what reading ended with, or None.
        end: the last bytes that were read.
    """

    def __init__(self, file):
        self.file, self.damage, self.end = file, None, b""

    def read(self, size: int = -1) -> bytes:
        try:
            data = self.file.read1(size) if self.damage is None else b""
        except BROKEN_FILE as error:
            self.damage, data = error, b""
        self.end = (self.end + data[-4:])[-4:]
        return data
