"""What README.md and the pages of docs/ point at is there: files, headings, pictures, files named in the text."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("docs", "accelerate_configs", "benchmarks")
PAGES = [
    *sorted(ROOT.glob("README*.md")),
    *(page for folder in FOLDERS for page in sorted((ROOT / folder).glob("*.md"))),
]
OTHER_PATHS = "paper_to_code.md"  # names files from other folders on, and has a test of its own
TARGET = re.compile(r"(?:\]\(|src=\")([^()\s\"]+)")
NAMED = re.compile(r"(?<![\w/.-])(?:accelerate_configs|benchmarks|docs|evaluation|recipes|src|tests)/[\w/.-]*\w\.\w+")
CODE = re.compile(r"^(```|~~~~?).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def prose_of(page: Path) -> str:
    """The page without its blocks of code, in which a bracket is no link and a number sign no heading."""
    return CODE.sub("", page.read_text(encoding="utf-8"))


def local_targets(page: Path) -> list[str]:
    return [target for target in TARGET.findall(prose_of(page)) if not re.match(r"[a-z]+:", target)]


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
            for title in HEADING.findall(prose_of(page))}  # fmt: skip


def faults_of(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    faults = []
    for target in local_targets(page):
        path, _, anchor = unquote(target).partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or (anchor and anchor not in anchors_of(place)):
            faults.append(target)
    return faults


def test_links_that_lead_nowhere_are_found(tmp_path):
    (tmp_path / "other.md").write_text("# One two: three\n```\n# no heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#one-two-three) [c](none.md) [d](other.md#no-heading) [e](#own)\n\n## Own\n\n"
        "[f](https://example.org/none)\n```\n[g](in_code.md)\n```\n"
    )
    assert faults_of(page) == ["none.md", "other.md#no-heading"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page):
    assert faults_of(page) == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != OTHER_PATHS], ids=lambda page: str(page.relative_to(ROOT))
)
def test_files_of_the_repository_that_a_page_names_are_there(page):
    text = re.sub(r"\]\([^)]*\)", "]", page.read_text(encoding="utf-8"))
    assert [name for name in NAMED.findall(text) if not (ROOT / name).exists()] == []


def test_every_page_of_docs_can_be_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            places = [(page.parent / target.partition("#")[0]).resolve() for target in local_targets(page)]
            waiting += [place for place in places if place.suffix == ".md" and place.is_file()]
    assert {page.name for page in (ROOT / "docs").glob("*.md")} <= {page.name for page in reached}


def test_every_picture_of_docs_is_shown():
    shown = {(page.parent / target).resolve() for page in PAGES for target in local_targets(page)}
    assert [path.name for path in sorted((ROOT / "docs" / "images").iterdir()) if path not in shown] == []
