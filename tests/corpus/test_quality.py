"""The learned filter: tokens of every text, repeatable dirt and training, whole sources held out, honest thresholds."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.corpus import Document
from nec13b.corpus.dirtying import KINDS, dirtied_documents, dirty_text
from nec13b.corpus.quality import (
    MODEL_NAME,
    SHAPE_REPEATS,
    WINDOW,
    QualityClassifier,
    shape_of,
    tokens_of,
    windows_of,
)
from nec13b.corpus.quality_evaluation import (
    Scored,
    auc_by_kind,
    kept_shares,
    make_classifier,
    precision_at,
    reliability,
    rules_of,
    score_held_out,
    threshold_for,
)
from nec13b.corpus.quality_training import (
    Example,
    TrainQualityConfig,
    collect_examples,
    source_of,
    train_classifier,
)
from nec13b.errors import InputError

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300)


@given(TEXT, st.booleans())
def test_every_text_has_tokens_on_one_line(text, keep_words):
    tokens = tokens_of(text, keep_words)
    assert "\n" not in tokens
    assert tokens
    assert "__label__" not in tokens


def test_tokens_mask_subjects_and_mark_the_layout():
    def tokens(text, keep_words=False):
        return tokens_of(text, keep_words).replace(" " + " ".join(shape_of(text) * SHAPE_REPEATS), "")

    assert tokens("NEC の 13B") == "<long4> a の 0 a <end>"
    assert tokens("It's 13 B", keep_words=True) == "<long4> it ' s 0 b <end>"
    assert tokens("あ\n\nい") == "<long1> あ <end> <empty> <long1> い <end>"
    assert tokens_of(" \n") == "<empty> <empty>"
    assert tokens_of("同じことを二度言う。同じことを二度言う。").count("<again>") == 1


@given(st.integers(1, 5 * WINDOW))
def test_windows_cover_beginning_and_end(length):
    text = "".join(chr(0x4E00 + i) for i in range(length))
    windows = windows_of(text)
    assert 1 <= len(windows) <= 3
    assert all(len(window) == min(length, WINDOW) and window in text for window in windows)
    assert windows[0][0] == text[0]
    assert windows[-1][-1] == text[-1]


@given(TEXT, st.sampled_from(sorted(KINDS)), TEXT, st.integers(0, 9))
def test_every_text_can_be_dirtied_and_always_alike(text, kind, other, seed):
    dirty = dirty_text(text, kind, other, seed)
    assert dirty == dirty_text(text, kind, other, seed)
    dirty.encode()


def test_dirt_is_not_the_text_it_was_made_of(sample):
    clean = [document for document in sample if document.domain == "ja"][:8]
    rows = list(dirtied_documents(clean))
    assert {kind for kind, _, _ in rows} == set(KINDS)
    assert all(text != document.text and text not in document.text for _, document, text in rows)
    assert [text for *_, text in rows] != [text for *_, text in dirtied_documents(clean, seed=1)]


@pytest.fixture(scope="module")
def examples():
    return collect_examples(TrainQualityConfig(epochs=60))


@pytest.fixture(scope="module")
def classifier(examples, tmp_path_factory):
    from nec13b.corpus.quality import write_card

    folder = tmp_path_factory.mktemp("quality")
    train_classifier(examples, TrainQualityConfig(epochs=60), folder / MODEL_NAME)
    write_card(folder, {"domain": "ja", "keep_words": False, "threshold": 0.5})
    return QualityClassifier.open(folder)


def test_training_tells_clean_from_dirty_text_it_has_not_seen(examples, classifier):
    scored = score_held_out(examples, classifier, None)
    areas = auc_by_kind(scored)
    assert np.mean(list(areas.values())) > 0.97, areas
    assert min(areas.values()) > 0.85, areas


def test_the_same_examples_give_the_same_model(examples, classifier, tmp_path):
    """fastText leaves memory uninitialised where it trains with fewer than ten threads; ours must not depend on it."""
    train_classifier(examples, TrainQualityConfig(epochs=60), tmp_path / MODEL_NAME)
    assert (tmp_path / MODEL_NAME).read_bytes() == (classifier.folder / MODEL_NAME).read_bytes()
    assert np.isfinite(classifier._model.get_input_matrix()).all()
    assert list(tmp_path.iterdir()) == [tmp_path / MODEL_NAME]


@given(text=TEXT)
def test_every_text_has_a_probability(classifier, text):
    assert 0 <= classifier.clean_probability(text) <= 1


def test_a_classifier_travels_to_other_processes(classifier):
    import pickle

    other = pickle.loads(pickle.dumps(classifier))
    assert other.clean_probability("きょうは雨だった。") == classifier.clean_probability("きょうは雨だった。")


def test_what_is_no_classifier_is_refused(classifier, tmp_path):
    with pytest.raises(InputError, match=r"quality.json does not exist; recipes/train_quality_classifier.py makes it"):
        QualityClassifier.open(tmp_path)
    card = json.loads((classifier.folder / "quality.json").read_text())
    (tmp_path / "quality.json").write_text('{"format": "other"}')
    with pytest.raises(InputError, match="is not of a quality classifier"):
        QualityClassifier.open(tmp_path)
    (tmp_path / "quality.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match=r"model.bin does not exist"):
        QualityClassifier.open(tmp_path)
    (tmp_path / MODEL_NAME).write_bytes(b"not a model")
    with pytest.raises(InputError, match="is not the model that"):
        QualityClassifier.open(tmp_path)


def test_fasttext_models_of_other_kinds_are_refused(tmp_path):
    from nec13b.corpus.quality import load_fasttext

    path = tmp_path / MODEL_NAME
    path.write_bytes(b"not a model at all")
    with pytest.raises(InputError, match="is not a fastText classifier"):
        load_fasttext(path)
    import fasttext

    text = tmp_path / "text.txt"
    text.write_text("__label__ja あ い\n__label__en a b\n" * 20, encoding="utf-8")
    fasttext.train_supervised(str(text), verbose=0, bucket=100, dim=4, thread=10).save_model(str(path))
    with pytest.raises(InputError, match="tells __label__en, __label__ja apart, not clean and dirty"):
        load_fasttext(path)


def rows(path, texts, **fields):
    with path.open("w", encoding="utf-8") as file:
        for i, text in enumerate(texts):
            file.write(json.dumps({"text": text, "lang": "ja", **{k: v(i) for k, v in fields.items()}}) + "\n")


def test_whole_sources_are_held_out(sample, tmp_path):
    texts = [document.text for document in sample if document.domain == "ja"][:40]
    rows(tmp_path / "pages.jsonl", texts, url=lambda i: f"https://www.site{i % 5}.jp/{i}")
    rows(tmp_path / "spam.jsonl", ["広告、" * 40 + str(i) for i in range(20)], kind=lambda i: "spam")
    config = TrainQualityConfig(
        corpus=[str(tmp_path / "pages.jsonl")], dirty=[str(tmp_path / "spam.jsonl")], dirtied_kinds=["chatter"]
    )
    found = collect_examples(config)
    held = {example.source for example in found if example.held_out and example.kind != "spam"}
    trained = {example.source for example in found if not example.held_out and example.kind != "spam"}
    assert held
    assert trained
    assert not held & trained
    assert held | trained == {f"pages/site{i}.jp" for i in range(5)}
    spam = [example.held_out for example in found if example.kind == "spam"]
    assert spam.count(True) == 5  # one source only: by document
    config.held_out_sources = ["pages/site3*"]
    found = collect_examples(config)
    assert {example.source for example in found if example.held_out and example.kind == "clean"} == {"pages/site3.jp"}
    config.held_out_sources = ["pages/nowhere"]
    with pytest.raises(InputError, match=r"'pages/nowhere' fits none of the sources: pages/site0.jp"):
        collect_examples(config)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dirtied_kinds": ["x"]}, "unknown kind 'x'; known are shuffled_lines"),
        ({"dirtied_kinds": []}, "there is no dirty text"),
        ({"wanted_precision": 1.0}, "wanted_precision must lie between 0 and 1"),
    ],
)
def test_bad_settings_are_named(settings, said):
    with pytest.raises(InputError, match=said):
        TrainQualityConfig(**settings)


def test_text_of_another_domain_only_is_refused():
    with pytest.raises(InputError, match="holds no document of domain 'fr'"):
        collect_examples(TrainQualityConfig(domain="fr"))
    with pytest.raises(InputError, match="no clean, or no dirty, text left"):
        train_classifier([Example("あ", "clean", "x", False)], TrainQualityConfig(), None)


def test_where_a_document_comes_from():
    document = Document("x", "ja", "web", url="https://www.nhk.or.jp/a", source_id="rurema:refm")
    assert source_of(document) == "web/nhk.or.jp"
    assert source_of(Document("x", "ja", "docs", source_id="rurema:refm/api")) == "docs/rurema"
    assert source_of(Document("x", "ja", "docs", source_id="17")) == "docs"
    assert Document("x", "ja", "web", url="http://[broken").site == ""


SCORES = st.lists(st.floats(0, 1), min_size=3, max_size=30)


@given(SCORES, SCORES, st.floats(0.5, 0.99), st.floats(0.1, 0.9))
def test_the_threshold_gives_the_wanted_precision_where_that_is_possible(clean, dirty, wanted, share):
    kinds = np.array(["clean"] * len(clean) + ["spam"] * len(dirty))
    scored = Scored(kinds, kinds, np.array(clean + dirty), *np.ones((2, len(kinds)), bool))
    threshold = threshold_for(scored, wanted, share)
    reached = precision_at(scored, threshold, share)
    best = max(precision_at(scored, t / 100, share) for t in range(1, 100))
    assert reached >= wanted or precision_at(scored, 0.995, share) < wanted
    assert reached >= min(wanted, best) or precision_at(scored, 0.995, share) < wanted
    assert sum(count for *_, count in reliability(scored)) == len(kinds)


def test_real_dirt_decides_the_threshold_and_every_kind_counts_alike():
    kinds = np.array(["clean"] * 4 + ["spam"] * 8 + ["lists"] + ["chatter"])
    scores = np.array([0.9, 0.9, 0.8, 0.2] + [0.5] * 8 + [0.1, 0.99])
    scored = Scored(kinds, kinds, scores, *np.ones((2, 14), bool))
    assert kept_shares(scored, 0.4) == (0.75, 0.5)  # chatter is dirtied text, so it does not count
    assert kept_shares(scored, 0.6) == (0.75, 0.0)


def test_the_card_says_how_good_the_classifier_is_and_where_it_fails(tmp_path):
    from nec13b.corpus.quality_card import write_readme
    from nec13b.corpus.quality_evaluation import evaluation

    kinds = np.array(["clean"] * 100 + ["spam"] * 50 + ["lists"] * 50)
    sources = np.where(kinds == "clean", np.where(np.arange(200) % 2, "wiki", "books"), "web")
    scores = np.where(kinds == "lists", 0.6, np.where(kinds == "clean", 0.9, 0.1)) + np.arange(200) / 1e4
    scores[:10] = 0.05  # clean text that looks like spam
    scored = Scored(kinds, sources, scores, np.ones(200, bool), np.zeros(200, bool))
    metrics = evaluation(scored, 0.5, 0.5)
    metrics["left_out"] = {"spam": {"roc_auc": 0.8, "together": 0.4}, "lists": {"roc_auc": 0.97, "together": 1.0}}
    examples = [Example("x", kind, source, held_out=True) for kind, source in zip(kinds.tolist(), sources.tolist())]
    write_readme(tmp_path / "README.md", TrainQualityConfig(), examples, 0.5, metrics)
    card = (tmp_path / "README.md").read_text()
    assert f"**{metrics['roc_auc']:.4f}**" in card
    assert "| spam | 50 | 0.9000 | 0.0% | 100.0% | 100.0% | 0.8000 | 40.0% |" in card
    assert "| lists | 50 |" in card
    assert "(100 clean, 100 dirty)" in card
    assert "an area below 0.99: lists (0.900), spam (0.900)." in card
    assert "pass rules and classifier: lists (100%)." in card
    assert "when it has never seen them: spam (0.800)." in card


@pytest.mark.slow
def test_on_real_text_rules_and_classifier_keep_what_is_clean_and_reject_what_is_dirty(data, tmp_path):
    """Whole sources are held out: novels and two manuals, and a quarter of the real dirt."""
    corpus = [str(data / "corpus_sample" / f"ja_{name}.jsonl.gz") for name in ("books_long", "docs", "wiki_kyoto")]
    config = TrainQualityConfig(
        corpus=corpus, dirty=[str(data / "noisy_sample" / "ja_noisy.jsonl.gz")], max_documents=3000,
        held_out_sources=["ja_docs/rurema", "ja_docs/react-ja", "ja_books_long/*"],
    )  # fmt: skip
    made = make_classifier(collect_examples(config), config, rules_of(config), tmp_path)
    scored = made.scored
    assert not scored.chooses.any()  # what is drawn and measured has not chosen the threshold
    kept = (scored.scores >= made.threshold) & scored.passed
    assert kept[scored.is_clean].mean() >= 0.95
    assert 1 - kept[scored.is_real_dirt].mean() >= 0.95
    assert made.metrics["roc_auc"] >= 0.985
