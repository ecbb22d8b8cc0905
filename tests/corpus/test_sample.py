"""The built-in sample is what the project promises of it."""

import collections
import re

from nec13b.corpus import is_held_out


def japanese(sample):
    return [document for document in sample if document.domain == "ja"]


def test_there_is_enough_of_every_domain(sample):
    characters = collections.Counter()
    for document in sample:
        characters[document.domain] += len(document.text)
    assert set(characters) == {"ja", "en", "code"}
    assert characters["en"] > 500_000
    assert characters["code"] > 2_000_000


def test_the_japanese_is_long_and_varied(sample):
    documents = japanese(sample)
    assert len(documents) >= 80
    assert sum(len(document.text.encode()) for document in documents) >= 150_000
    assert sum(len(document.text) >= 6000 for document in documents) >= 8
    genres = {document.id.split("/")[1] for document in documents}
    assert len(genres) >= 10


def test_no_line_of_japanese_occurs_twice(sample):
    lines = collections.Counter(
        line.strip() for document in japanese(sample) for line in document.text.splitlines() if len(line.strip()) >= 20
    )
    assert [line for line, count in lines.items() if count > 1] == []


def test_japanese_documents_do_not_share_long_passages(sample):
    """A template with swapped nouns would show as shared stretches of 30 characters."""
    seen: dict[str, str] = {}
    shared = set()
    for document in japanese(sample):
        text = re.sub(r"\s+", "", document.text)
        for i in range(len(text) - 30):
            owner = seen.setdefault(text[i : i + 30], document.id)
            if owner != document.id:
                shared.add((owner, document.id))
    assert shared == set()


def test_japanese_files_are_clean_text(sample):
    for document in japanese(sample):
        title, blank, *rest = document.text.split("\n")
        assert title.strip(), document.id
        assert blank == "", document.id
        assert any(line.strip() for line in rest), document.id
        assert document.text.endswith("\n"), document.id
        assert "\r" not in document.text, document.id
        assert "\ufffd" not in document.text, document.id


def test_docstrings_are_on_the_side_of_their_module(sample):
    sides = collections.defaultdict(set)
    for document in sample:
        if document.group:
            sides[document.group].add(is_held_out(document, 0.3))
    assert all(len(side) == 1 for side in sides.values())
