"""Tallies add up in any order, and excerpts hold the text and mark what they are told to."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from nec13b.corpus.tally import EXCERPT, Tally, excerpt_of, length_bin, score_bin

TEXT = st.text(alphabet="あいう漢字abc 。\n", max_size=2000)


@st.composite
def tallies(draw) -> Tally:
    tally = Tally()
    for i in range(draw(st.integers(0, 8))):
        name = draw(st.sampled_from(["kept/ja", "kept/en", "rejected/rules/characters/ja"]))
        tally.add(name, documents=1, characters=draw(st.integers(0, 99)))
        tally.add_example(name, {"id": f"{draw(st.integers(0, 10**9))}:{i}"})
    return tally


@given(st.lists(tallies(), min_size=1, max_size=4))
def test_the_order_of_the_parts_does_not_matter(parts):
    def together(order):
        whole = Tally()
        for part in order:
            whole.merge(Tally.from_json(part.to_json()))
        return whole.to_json()

    sums = [together(order) for order in itertools.permutations(parts)]
    assert all(one == sums[0] for one in sums)
    for name, examples in sums[0]["examples"].items():
        assert len(examples) == min(3, sums[0]["counts"][name]["documents"])


@given(TEXT, st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 300)), max_size=5))
def test_an_excerpt_is_part_of_the_text_with_its_spans_marked(text, places):
    spans = sorted((start, min(start + size, len(text))) for start, size in places if start < len(text))
    pieces = excerpt_of(text, spans)
    shown = "".join(piece for piece, _ in pieces)
    inner = shown.removeprefix("… ").removesuffix(" …")
    assert inner in text
    assert len(inner) == min(EXCERPT, len(text)) or inner == text[-len(inner) :]
    for piece, is_marked in pieces:
        assert not is_marked or any(piece in text[start:end] for start, end in spans)
    if any(start < end for start, end in spans[:1]):
        assert any(is_marked for _, is_marked in pieces)


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_bins(characters, score):
    assert int(length_bin(characters)) <= characters < 2 * int(length_bin(characters))
    assert 0 <= score_bin(score) < 20
    assert score_bin(score) / 20 <= score + 1e-9


def test_a_counter_is_found_under_its_name_only():
    tally = Tally()
    tally.add("kept/ja/wiki", documents=2)
    tally.add("kept/ja/web", documents=3)
    tally.add("kept_long/ja/web", documents=5)
    assert [name for name, _ in tally.under("kept")] == [["ja", "web"], ["ja", "wiki"]]
    assert tally.total("kept", "documents") == 5
