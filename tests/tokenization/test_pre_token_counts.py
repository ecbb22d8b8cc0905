"""Counts are exact however the corpus is spread and whatever is written to disk; what is dropped is known."""

import collections
import json
import os
import random
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.corpus import Rejections, parse_sources, parts_of
from nec13b.errors import InputError
from nec13b.tokenization.drawing import ALL_HASHES, Reader, hash_of, in_processes, survey_corpus
from nec13b.tokenization.pre_token_counts import count_pre_tokens, halves
from nec13b.tokenization.pre_tokens import pre_tokens

READER = Reader(0.0, 1_000_000)


@pytest.fixture(scope="module")
def rows(sample):
    documents = [d for d in sample if len(d.text) < 5000]
    return [{"text": d.text, "lang": d.domain} for d in documents if d.domain in ("ja", "en")][:150]


def written(folder, rows, files):
    folder.mkdir()
    for number in range(files):
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows[number::files]]
        (folder / f"{number}.jsonl").write_text("".join(lines), encoding="utf-8")
    return parts_of(parse_sources(str(folder)))


def counted(parts, folder, shares, **options):
    limits = dict.fromkeys(shares, ALL_HASHES)
    budgets = dict.fromkeys(shares, 10**9)
    sample_limits = dict.fromkeys(shares, ALL_HASHES // 4)
    return count_pre_tokens(parts, READER, limits, budgets, shares, sample_limits, folder / "work", **options)


def test_counts_are_exact_and_do_not_depend_on_files_or_spills(rows, tmp_path):
    expected = collections.Counter()
    for row in rows:
        if row["lang"] == "ja":
            expected.update(pre_tokens(row["text"]))
    whole = counted(written(tmp_path / "one", rows, 1), tmp_path, {"ja": 1.0})
    assert whole.words == dict(expected)
    assert whole.dropped_share == 0
    assert whole.different == len(expected)
    spilled = counted(written(tmp_path / "many", rows, 7), tmp_path, {"ja": 1.0}, counted_at_once=50)
    assert list(spilled.words.items()) == list(whole.words.items())
    drawn = {row["text"] for row in rows if row["lang"] == "ja" and hash_of(row["text"]) < ALL_HASHES // 4}
    assert {document.text for document in whole.sample} == drawn
    assert [document.text for document in spilled.sample] == [document.text for document in whole.sample]
    assert not (tmp_path / "work").exists()


def test_domains_have_their_shares(rows, tmp_path):
    parts = written(tmp_path / "corpus", rows, 2)
    result = counted(parts, tmp_path, {"ja": 0.75, "en": 0.25}, workers=2)
    own = {domain: counted(parts, tmp_path, {domain: 1.0}).words for domain in ("ja", "en")}
    sizes = dict.fromkeys(own, 0)
    for word, count in result.words.items():
        for domain in own:
            if word in own[domain] and word not in own["en" if domain == "ja" else "ja"]:
                sizes[domain] += len(word) * count
    assert sizes["ja"] / (sizes["ja"] + sizes["en"]) == pytest.approx(0.75, abs=0.05)


def test_rare_phrases_are_cut_until_they_are_common_or_short(rows, tmp_path):
    parts = written(tmp_path / "corpus", rows, 1)
    whole = counted(parts, tmp_path, {"ja": 1.0})
    few = counted(parts, tmp_path, {"ja": 1.0}, most_different=len(whole.words) // 4)
    assert few.different == whole.different
    assert len(few.words) < len(whole.words)
    characters = lambda words: sum(len(word) * count for word, count in words.items())  # noqa: E731
    assert 1 - characters(few.words) / characters(whole.words) == pytest.approx(few.dropped_share)
    common = {word: count for word, count in whole.words.items() if count >= min(few.words.values())}
    assert characters(few.words) > characters(common)  # more is seen than if rare phrases were dropped
    assert all(few.words[word] >= count for word, count in common.items())


@given(st.text(st.sampled_from("東京大学のはをがラーメンーabc 。"), max_size=20))
def test_halves_are_the_word(word):
    assert "".join(halves(word)) == word
    assert all(halves(word)) or not word


def test_halves_begin_where_a_word_begins():
    assert halves("東京の大学を出た") == ("東京の", "大学を出た")
    assert halves("国際連合教育科学") == ("国際連合", "教育科学")
    assert halves("東京都") == ("東京都",)
    assert halves(" international") == (" international",)


@settings(max_examples=25, deadline=None)
@given(st.integers(100, 20_000), st.integers(0, 100))
def test_what_is_drawn_depends_on_the_texts_alone_and_keeps_the_budget(tmp_path_factory, budget, seed):
    rng = random.Random(seed)
    rows = [{"text": f"{i} " + "x" * (i % 300), "lang": "en" if i % 3 else "ja"} for i in range(120)]
    drawn = []
    for files in (1, 3):
        rng.shuffle(rows)
        parts = written(tmp_path_factory.mktemp("drawn") / "corpus", rows, files)
        survey = survey_corpus(parts, READER, budget, 1)
        limits = survey.limits({"ja": budget, "en": budget // 2 or 1})
        assert survey.documents == {"ja": 40, "en": 80}
        drawn.append(limits)
    assert drawn[0] == drawn[1]
    lengths = collections.Counter()
    for row in rows:
        if hash_of(row["text"]) < limits[row["lang"]]:
            lengths[row["lang"]] += len(row["text"])
    assert lengths["ja"] <= max(budget, 320)
    assert lengths["en"] <= max(budget // 2, 320)


def test_documents_that_spell_out_a_special_token_are_set_aside_and_many_of_them_are_refused(tmp_path):
    rows = [{"text": f"text {i}", "lang": "en"} for i in range(300)]
    rows[7]["text"] += " <|im_end|>"
    parts = written(tmp_path / "few", rows, 1)
    assert survey_corpus(parts, READER, 1000, 1).rejections == {"special token <|im_end|> in the text": 1}
    rejections = Rejections()
    assert len(list(READER.documents(parts[0], rejections=rejections))) == 299
    for row in rows[:20]:
        row["text"] += " <|im_end|>"
    with pytest.raises(InputError, match=r"special token <\|im_end\|> in the text of 20 documents, 280 have none"):
        survey_corpus(written(tmp_path / "many", rows, 1), READER, 1000, 1)


def killed(signal_number):
    os.kill(os.getpid(), signal_number)


def test_a_process_that_is_killed_is_one_line():
    with pytest.raises(InputError, match="a process was ended from outside"):
        list(in_processes(killed, [(signal.SIGKILL,)] * 2, 2))
