"""Lines of a site's frame go, headings and text stay, and other sites do not matter."""

import numpy as np
import pytest
from datatrove.data import Document as Row
from hypothesis import given
from hypothesis import strategies as st

from nec13b.corpus.blocks import RowWriter, part_file, read_rows
from nec13b.corpus.repeated_lines import CutRepeatedLines, FindRepeatedLines, WriteLineHashes, lines_to_cut

NOTICE = "この記事は「山の便り」編集部がお届けしています。ご意見は紙面づくりの参考にいたします。"


def row(text, site="a.jp", domain="ja", identifier="x"):
    return Row(text, identifier, metadata={"site": site, "url": f"https://{site}/" if site else "", "domain": domain,
                                           "source": "web", "language": "ja", "licence": ""})  # fmt: skip


def cut(parts, tmp_path, documents=3, share=0.1, splits=1, least=None):
    """The texts of each part after the three steps, and the rows that were dropped."""
    lines, found = tmp_path / "lines", tmp_path / "found"
    for part, rows in enumerate(parts):
        WriteLineHashes(lines, splits).run(iter(rows), part, len(parts))
    for split in range(splits):
        FindRepeatedLines(lines, found, documents, share).run(None, split, splits)
    left = []
    for part, rows in enumerate(parts):
        step = CutRepeatedLines(found, splits, least or {}, RowWriter(tmp_path / "rejected"))
        left.append([kept.text for kept in step.run(iter(rows), part, len(parts))])
    dropped = [gone for part in range(len(parts)) for gone in read_rows(part_file(tmp_path / "rejected", part))]
    return left, dropped


@pytest.mark.parametrize("splits", [1, 3])
def test_headers_footers_and_long_notices_go(tmp_path, splits):
    def page(i):
        return row(
            f"山の便り\n目次\n\n概要\n{i}番目の話。\n概要\n{NOTICE}\n続きの話{i}。\n\nまた来週", identifier=str(i)
        )

    left, dropped = cut([[page(1), page(2)], [page(3), page(4)]], tmp_path, splits=splits)
    assert left == [[f"{i}番目の話。\n概要\n続きの話{i}。" for i in part] for part in ((1, 2), (3, 4))]
    assert not dropped


def test_lines_of_other_sites_and_of_documents_without_one_stay(tmp_path):
    rows = [row(f"共通の行\n話{i}。", site=f"{i % 4}.jp") for i in range(8)] + [
        row(f"共通の行\n話{i}。", site="") for i in range(5)
    ]
    left, _ = cut([rows], tmp_path)
    assert all(text.startswith("共通の行") for text in left[0])


def test_a_line_repeated_within_one_document_is_no_frame(tmp_path):
    left, _ = cut([[row("はい。\n" * 9 + f"話{i}。") for i in range(2)]], tmp_path)
    assert left[0] == ["はい。\n" * 9 + f"話{i}。" for i in range(2)]


def test_documents_of_which_too_little_is_left_are_dropped_with_their_text(tmp_path):
    rows = [row(f"山の便り\n{'長い話。' * 30 if i else '短い。'}{i}", identifier=str(i)) for i in range(4)]
    left, dropped = cut([rows], tmp_path, least={"ja": 50})
    assert len(left[0]) == 3
    (gone,) = dropped
    assert (gone["id"], gone["text"], gone["reason"]) == ("0", "山の便り\n短い。0", "repeated_lines")
    assert gone["detail"] == "too little is left without 1 lines that the site's pages share"
    assert gone["spans"] == [[0, 4]]


@given(st.lists(st.tuples(st.text(alphabet="あ ", max_size=40), st.booleans()), max_size=12))
def test_only_framed_lines_are_cut_and_those_inside_only_if_long(lines):
    texts, framed = [text for text, _ in lines], np.array([flag for _, flag in lines], bool)
    gone = lines_to_cut(texts, framed)
    assert not (gone & ~framed).any()
    inside = [i for i, (text, flag) in enumerate(lines) if text.strip() and not flag]
    if inside:
        for i in range(inside[0], inside[-1]):
            assert not gone[i] or len(texts[i].strip()) >= 30


def test_code_is_passed_by(tmp_path):
    rows = [row(f"# Licence\nx = {i}\n", domain="code") for i in range(9)]
    left, _ = cut([rows], tmp_path)
    assert left == [[f"# Licence\nx = {i}\n" for i in range(9)]]


def test_on_a_large_site_a_line_must_stand_in_a_share_of_its_documents(tmp_path):
    """A platform of many authors: one of them begins all of hers with the same line."""
    rows = [row(f"{'山田の日記' if i % 20 == 0 else f'人{i}'}\n話{i}。\n山の便り") for i in range(100)]
    left, _ = cut([rows], tmp_path, share=0.1)
    assert left[0][20] == "山田の日記\n話20。"
    left, _ = cut([rows], tmp_path / "low", share=0.05)
    assert left[0][20] == "話20。"
