"""Preferences come out of every kind of entry with where they stand; what cannot be used is told with file and line."""

import json

import pytest

from nec13b.corpus import Rejections
from nec13b.dialogues.row_sources import sources_identity
from nec13b.errors import InputError
from nec13b.preferences.adjudication import AdjudicationRule
from nec13b.preferences.preference_sources import parse_preference_sources, read_preferences

ROWS = [
    {"prompt": "海は？", "chosen": "青い。", "rejected": "赤い。", "lang": "ja", "license": "CC0-1.0",
     "strength": "slight"},
    {"prompt": "山は？", "answers": ["低い。", "高い。", "丸い。"], "scores": [1, 3, 2]},
]  # fmt: skip
PAIRS = [
    {
        "id": f"p{n}",
        "prompt": f"{n}番目の問い",
        "answers": [f"{n}番目の良い答え", f"{n}番目の悪い答え"],
        "source": "people",
    }
    for n in range(3)
]
JUDGEMENTS = [
    {"pair": "p0", "annotator": "a", "verdict": "first_better"},
    {"pair": "p0", "annotator": "b", "verdict": "first_better"},
    {"pair": "p1", "annotator": "a", "verdict": "first_better"},
    {"pair": "p1", "annotator": "b", "verdict": "second_better"},
    {"pair": "p2", "annotator": "a", "verdict": "tie"},
    {"pair": "gone", "annotator": "a", "verdict": "tie"},
]


def read(entries, rejections=None, rule=None):
    rejections = rejections if rejections is not None else Rejections()
    return [
        placed.preference
        for placed in read_preferences(
            parse_preference_sources(entries), rejections, rule or AdjudicationRule(), max_characters=1000
        )
    ]


def said(preferences):
    return [(p.id, p.chosen[0]["content"], p.rejected[0]["content"]) for p in preferences]


@pytest.fixture
def judged(tmp_path, write_rows):
    """A folder of pairs and one of what was said of them."""
    (tmp_path / "candidates").mkdir()
    (tmp_path / "annotation").mkdir()
    write_rows(tmp_path / "candidates" / "pairs.jsonl", PAIRS)
    write_rows(tmp_path / "annotation" / "judgements.jsonl", JUDGEMENTS)
    return tmp_path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.json"])
def test_every_kind_of_file(tmp_path, write_rows, name):
    one, other = read(write_rows(tmp_path / name, ROWS))
    assert (one.language, one.licence, one.strength, one.source) == ("ja", "CC0-1.0", "slight", "a")
    assert (other.chosen[0]["content"], other.rejected[0]["content"]) == ("高い。", "低い。")
    assert [p.id for p in (one, other)] == [f"a:{line}" for line in ((1, 2) if "jsonl" in name else (2, 10))]


def test_options_of_an_entry(tmp_path, write_rows):
    path = write_rows(tmp_path / "a.jsonl", ROWS)
    made = read(f"{path},ranked=all,label=mine,language=ja,licence=MIT")
    assert [p.id for p in made] == ["mine:1", "mine:2#1", "mine:2#2", "mine:2#3"]
    assert [p.licence for p in made] == ["CC0-1.0", "MIT", "MIT", "MIT"]
    path = write_rows(tmp_path / "b.jsonl", [{"toi": "海は？", "yoi": "青い。", "warui": "赤い。"}])
    made = read(f"{path},prompt_field=toi,chosen_field=yoi,rejected_field=warui")
    assert said(made) == [("b:1", "青い。", "赤い。")]


@pytest.mark.parametrize(
    ("entry", "wrong"),
    [
        ("sample,shape=pairs", "preferences entry 'sample': shape must be one of paired, transcript"),
        ("sample,ranked=some", "ranked must be one of best, all"),
        ("nowhere.jsonl", "preferences path nowhere.jsonl does not exist"),
        ([], "preferences is empty"),
    ],
)
def test_entries_that_do_not_work(entry, wrong):
    with pytest.raises(InputError, match=wrong):
        parse_preference_sources(entry)


def test_judgements_are_adjudicated_with_pairs_that_lie_elsewhere(judged):
    rejections = Rejections(judged / "rejected.jsonl")
    entry = f"{judged / 'annotation'},pairs={judged / 'candidates'}"
    (made,) = read(entry, rejections)
    assert said([made]) == [("p0", "0番目の良い答え", "0番目の悪い答え")]
    assert (made.source, made.strength, made.provenance["prompt_source"]) == ("annotation", "clear", "people")
    assert dict(rejections.counts) == {"conflict": 1, "tie": 1, "unknown pair": 1}
    told = [json.loads(line)["detail"] for line in (judged / "rejected.jsonl").read_text().splitlines()]
    assert told[0] == "pair p1: 1 × first_better, 1 × second_better"
    assert read(entry, rule=AdjudicationRule(min_judges=3)) == []
    assert said(read(f"{judged / 'annotation' / 'judgements.jsonl'},pairs={judged / 'candidates' / 'pairs.jsonl'}"))
    files = [path for path, *_ in sources_identity(parse_preference_sources(entry))[0]["files"]]
    assert [file.rsplit("/", 1)[1] for file in files] == ["pairs.jsonl", "judgements.jsonl"]


def test_what_is_missing_of_judgements_is_told(judged):
    with pytest.raises(InputError, match=r"no pairs\.jsonl beside it; name the pairs with pairs=PATH"):
        parse_preference_sources(str(judged / "annotation" / "judgements.jsonl"))
    with pytest.raises(InputError, match=r"pairs\.jsonl does not exist"):
        parse_preference_sources(f"{judged / 'annotation'},pairs={judged}/pairs.jsonl")
    (judged / "candidates" / "pairs.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"pairs\.jsonl, line 1 is not a pair of answers"):
        read(f"{judged / 'annotation'},pairs={judged / 'candidates'}")


def test_of_an_annotation_the_preferences_alone_are_read(judged, write_rows):
    write_rows(judged / "annotation" / "preferences.jsonl", [ROWS[0] | {"id": "p9", "provenance": {"judges": 2}}])
    assert said(read(str(judged / "annotation"))) == [("p9", "青い。", "赤い。")]
    # With the pairs beside them the judgements are the source, and the rule here decides.
    write_rows(judged / "annotation" / "pairs.jsonl", PAIRS)
    assert [p.id for p in read(str(judged / "annotation"))] == ["p0"]


def test_exports_are_adjudicated_row_by_row(tmp_path, write_rows):
    row = {
        "id": "r", "fields": {"prompt": "海は？", "answer-1": "青い。", "answer-2": "赤い。"},
        "responses": {"q": [{"value": "answer-1", "user_id": u} for u in "abc"]},
    }  # fmt: skip
    tied = row | {"responses": {"q": [{"value": "tie", "user_id": "a"}]}}
    rejections = Rejections()
    (made,) = read(write_rows(tmp_path / "a.jsonl", [row, tied]), rejections)
    assert said([made]) == [("a:1", "青い。", "赤い。")]
    assert (made.strength, made.provenance["judges"], made.provenance["agreement"]) == ("", 3, 1.0)
    assert dict(rejections.counts) == {"tie": 1}


def test_broken_rows_are_told_with_their_lines_and_reading_goes_on(tmp_path):
    good = json.dumps(ROWS[0], ensure_ascii=False).encode()
    lines = [
        good, b"{oops", b'{"a": 1}', b"\xff\xfe", b'"text"', b"",
        b'{"prompt": "\\ud800", "chosen": "a", "rejected": "b"}',
        b'{"prompt": "p", "chosen": "a", "rejected": "b", "provenance": {"x": "\\ud800"}}',
        b'{"prompt": "p", "answers": ["a", "b"], "scores": [1, 1]}', good,
    ]  # fmt: skip
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    rejections = Rejections(tmp_path / "rejected.jsonl")
    assert [p.id for p in read(str(tmp_path / "a.jsonl"), rejections)] == ["a:1", "a:10"]
    told = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert [(row["line"], row["reason"]) for row in told] == [
        (2, "broken JSON"), (3, "not a preference"), (4, "invalid UTF-8"), (5, "not a preference"),
        (7, "lone surrogate"), (8, "lone surrogate"), (9, "tie"),
    ]  # fmt: skip
    assert all(row["source"] == str(tmp_path / "a.jsonl") for row in told)


def test_the_sample_has_what_it_promises():
    made = read("sample")
    assert len(made) >= 80
    assert {p.licence for p in made} == {"Apache-2.0"}
    assert {p.language for p in made} == {"ja", "en"}
    assert len({p.prompt_key for p in made}) == len(made)
    reasons = {reason for p in made for reason in p.provenance["reasons"]}
    assert reasons == {"harmful", "wrong", "unhelpful", "unnatural"}
