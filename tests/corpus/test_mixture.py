"""The mixture keeps its proportions, never goes through a source too often, and packing brings the ratios about."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nec13b.corpus import Document
from nec13b.corpus.mixture import plan_mixture, read_mixture, repeated
from nec13b.errors import InputError

TOKENS = st.dictionaries(
    st.tuples(st.sampled_from(["ja", "en", "code"]), st.sampled_from(["a", "b", "c", "d"])),
    st.integers(1, 10**9),
    min_size=1,
)
SHARES = {"ja": 0.45, "en": 0.35, "code": 0.2}


@given(TOKENS, st.integers(1, 10**11), st.dictionaries(st.sampled_from("abcd"), st.floats(0.1, 10)), st.floats(0.5, 8))
def test_a_plan_keeps_its_promises(tokens, wanted, weights, most):
    weights = {source: weight for source, weight in weights.items() if source in {name for _, name in tokens}}
    mixture = plan_mixture(tokens, SHARES, wanted, weights, most)
    assert mixture.train_tokens <= wanted
    assert {(plan.domain, plan.source): plan.tokens for plan in mixture.sources} == tokens
    assert all(0 <= plan.epochs <= most * (1 + 1e-9) for plan in mixture.sources)
    present = {domain for domain, _ in tokens}
    assert mixture.proportions == pytest.approx({d: SHARES[d] / sum(SHARES[p] for p in present) for d in present})
    for domain, share in mixture.proportions.items():
        given_tokens = sum(plan.train_tokens for plan in mixture.sources if plan.domain == domain)
        assert given_tokens == pytest.approx(share * mixture.train_tokens, rel=1e-6, abs=2)
    assert all(entry["repeats"] >= 1 - 1e-4 for entry in mixture.to_json()["sources"])


def test_enough_text_is_not_repeated_and_too_little_makes_training_shorter():
    plenty = plan_mixture({("ja", "web"): 1000, ("en", "web"): 1000}, SHARES, 800)
    assert plenty.train_tokens == 800
    assert [plan.epochs for plan in plenty.sources] == pytest.approx([0.45, 0.35])
    scarce = plan_mixture({("ja", "web"): 10, ("en", "web"): 1000}, SHARES, 800)
    assert scarce.train_tokens == int(4 * 10 / (0.45 / 0.8))
    assert scarce.sources[0].epochs == pytest.approx(4, rel=0.02)


def test_weights_count_within_a_domain_up_to_the_most():
    mixture = plan_mixture({("ja", "web"): 900, ("ja", "wiki"): 100}, {"ja": 1.0}, 1200, {"wiki": 3})
    assert {plan.source: plan.epochs for plan in mixture.sources} == pytest.approx({"web": 1.0, "wiki": 3.0})
    mixture = plan_mixture({("ja", "web"): 900, ("ja", "wiki"): 100}, {"ja": 1.0}, 3100, {"wiki": 100})
    assert {plan.source: plan.epochs for plan in mixture.sources} == pytest.approx({"web": 3.0, "wiki": 4.0})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (({("fr", "web"): 5}, SHARES, 10), "no training text of the domains"),
        (({("ja", "web"): 5}, SHARES, 10, {"wiki": 2}), "source_weights names 'wiki', but the sources are web"),
        (({("ja", "web"): 5}, SHARES, 10, {"web": 0}), "the weight of web must be above 0"),
    ],
)
def test_impossible_mixtures_are_named(arguments, said):
    with pytest.raises(InputError, match=said):
        plan_mixture(*arguments)


def test_documents_are_repeated_as_planned_and_held_out_ones_never():
    mixture = plan_mixture({("ja", "web"): 900, ("ja", "wiki"): 100}, {"ja": 1.0}, 1250, {"wiki": 3.5})
    plan = mixture.to_json()
    documents = [Document(f"{i}", "ja", source, id=f"{source}:{i}", split="train") for source in ("web", "wiki")
                 for i in range(2000)]  # fmt: skip
    documents += [Document("x", "ja", "wiki", id=f"wiki:h{i}", split="held_out") for i in range(10)]
    again = list(repeated(documents, plan))
    assert again == list(repeated(documents, plan))
    counts = {}
    for document in again:
        key = document.source, document.split
        counts[key] = counts.get(key, 0) + 1
    assert counts["web", "train"] == 2000
    assert counts["wiki", "train"] == pytest.approx(7000, rel=0.02)
    assert counts["wiki", "held_out"] == 10


def test_what_is_no_plan_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"mixture.json does not exist; recipes/clean_corpus.py makes it"):
        read_mixture(tmp_path)
    (tmp_path / "mixture.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(InputError, match="is no mixture of this version"):
        read_mixture(tmp_path)
