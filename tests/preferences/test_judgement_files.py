"""Pairs and judgements come back as they were written, and a bad line is named with its number and what is wrong."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.errors import InputError
from nec13b.preferences.answer_pair import AnswerPair, CandidateAnswer
from nec13b.preferences.judgement import REASONS, VERDICTS, Judgement
from nec13b.preferences.judgement_files import (
    judgement_of_row,
    pair_of_row,
    read_judgements,
    read_pairs,
    write_rows,
)

PAIR = {"id": "a", "prompt": [{"role": "user", "content": "海は？"}], "answers": [{"text": "青い"}, {"text": "赤い"}]}
JUDGEMENT = {"pair": "a", "annotator": "花子", "verdict": "first_better"}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
FILLED = TEXT.filter(str.strip)
FREE = st.dictionaries(TEXT, st.integers() | TEXT | st.booleans(), max_size=3)
ANSWERS = st.builds(CandidateAnswer, FILLED, FREE)
PROMPTS = st.lists(TEXT, min_size=1, max_size=3).map(
    lambda said: [
        {"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said[: len(said) | 1])
    ]
)
PAIRS = st.builds(
    AnswerPair, FILLED, PROMPTS.filter(lambda p: len(p) % 2), ANSWERS, ANSWERS, TEXT, TEXT, TEXT, FREE
)  # fmt: skip
JUDGEMENTS = st.builds(
    Judgement, FILLED, FILLED, st.sampled_from(VERDICTS), st.lists(st.sampled_from(REASONS), max_size=2).map(tuple),
    TEXT, TEXT, st.sampled_from(["", "first", "second"]), st.none() | st.floats(0, 1e6), TEXT,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.lists(PAIRS, max_size=4, unique_by=lambda pair: pair.id), st.lists(JUDGEMENTS, max_size=4))
def test_what_is_written_comes_back(tmp_path_factory, pairs, judgements):
    folder = tmp_path_factory.mktemp("files")
    assert write_rows(folder / "p.jsonl", pairs) == len(pairs)
    write_rows(folder / "j.jsonl", judgements)
    assert read_pairs(folder / "p.jsonl") == pairs
    assert read_judgements(folder / "j.jsonl") == judgements


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"id": ""}, "field 'id' is missing or empty"),
        ({"id": 3}, "field 'id' must be a text, not a number"),
        ({"answers": [{"text": "青い"}]}, "field 'answers' must be a list of two answers"),
        ({"answers": [{"text": "青い"}, {"text": " "}]}, "the second answer: field 'text' is missing or empty"),
        ({"answers": [3, {"text": "青い"}]}, "the first answer is a number, not an object with a text"),
        ({"prompt": []}, "field 'prompt' must end with a message of the user"),
        ({"prompt": [{"role": "assistant", "content": "x"}]}, "field 'prompt' must end with a message of the user"),
        ({"prompt": [{"content": "x"}]}, "field 'prompt': message 1 has no role"),
        ({"provenance": []}, "field 'provenance' must be an object, not a list"),
    ],
)
def test_a_bad_pair_says_what_is_wrong(tmp_path, write_rows, change, wrong):
    path = write_rows(tmp_path / "pairs.jsonl", [PAIR, PAIR | {"id": "b"} | change])
    with pytest.raises(InputError, match=r"pairs\.jsonl, line 2 is not a pair of answers") as error:
        read_pairs(path)
    assert wrong in str(error.value)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"pair": None}, "field 'pair' is missing or empty"),
        ({"annotator": ""}, "field 'annotator' is missing or empty"),
        ({"verdict": "better"}, "field 'verdict' must be one of first_better"),
        ({"verdict": ["tie"]}, "field 'verdict' must be one of first_better"),
        ({"reasons": ["ugly"]}, "field 'reasons' must be a list of harmful"),
        ({"reasons": [["wrong"]]}, "field 'reasons' must be a list of harmful"),
        ({"seconds": "3"}, "field 'seconds' must be a number, not a text"),
        ({"shown_first": "left"}, "field 'shown_first' must be one of first, second, not 'left'"),
        ({"edited": "\ud800"}, "it is not valid Unicode"),
    ],
)
def test_a_bad_judgement_says_what_is_wrong(tmp_path, change, wrong):
    path = tmp_path / "judgements.jsonl"
    path.write_text(json.dumps(JUDGEMENT) + "\n\n" + json.dumps(JUDGEMENT | change) + "\n")
    with pytest.raises(InputError, match=r"judgements\.jsonl, line 3 is not a judgement") as error:
        read_judgements(path)
    assert wrong in str(error.value)


def test_an_id_that_stands_twice_and_a_line_that_is_cut(tmp_path, write_rows):
    path = write_rows(tmp_path / "pairs.jsonl", [PAIR, PAIR])
    with pytest.raises(InputError, match="line 2: the id 'a' stands in line 1 already"):
        read_pairs(path)
    (tmp_path / "cut.jsonl").write_text(json.dumps(JUDGEMENT) + "\n" + json.dumps(JUDGEMENT)[:-5])
    with pytest.raises(InputError, match=r"line 2 is not JSON in UTF-8 \(the file ends within it\)"):
        read_judgements(tmp_path / "cut.jsonl")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_pairs(tmp_path / "nowhere.jsonl")


def test_a_question_written_by_hand_is_a_prompt():
    assert pair_of_row(PAIR | {"prompt": "海は？", "answers": ["青い", "赤い"]}) == pair_of_row(PAIR)
    assert judgement_of_row(JUDGEMENT).score == -2


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path):
    class Broken:
        def to_row(self):
            raise RuntimeError("power cut")

    path = tmp_path / "judgements.jsonl"
    write_rows(path, [judgement_of_row(JUDGEMENT)])
    with pytest.raises(RuntimeError):
        write_rows(path, [judgement_of_row(JUDGEMENT), Broken()])
    assert len(read_judgements(path)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["judgements.jsonl"]
