"""Removal ends with nothing unsuitable, everything reachable and the wanted size; rare is by documents."""

import collections
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nec13b.corpus import Document
from nec13b.errors import InputError
from nec13b.tokenization.bpe import FIRST_TOKENS, assemble, rank_tokens, unreachable
from nec13b.tokenization.corpus_tokenizer import choose_alphabet
from nec13b.tokenization.pre_tokens import pre_tokens
from nec13b.tokenization.removal import remove_unsuitable
from nec13b.tokenization.unsuitable import wanted_classes
from nec13b.tokenization.usage import DocumentSample


def vocabulary_of(texts, wanted, keep=(), min_documents=2):
    words = collections.Counter()
    for text in texts:
        words.update(pre_tokens(text))
    alphabet = choose_alphabet(words, 1.0, 10_000)
    sample = DocumentSample(Document(text, "en", "x") for text in texts)
    made = remove_unsuitable(
        lambda size: rank_tokens(words, size, alphabet), wanted, sample, wanted_classes(list(keep)), min_documents
    )
    return made, sample


def largest_vocabulary_of(texts, **options):
    """With as many tokens as the texts give; what is rare or a variant depends on the size, so it takes some tries."""
    wanted = 5000
    for _ in range(10):
        try:
            return vocabulary_of(texts, wanted, **options)
        except InputError as error:
            wanted = int(re.search(r"at most ([\d,]+),", str(error))[1].replace(",", "")) - len(FIRST_TOKENS)
    raise AssertionError("no size is small enough")


def reasons(made):
    return {removed.token: removed.name for removed in made.removed}


def test_what_many_documents_use_stays_and_what_one_document_repeats_goes():
    texts = [f"the theatre there {i}" for i in range(30)] + ["Queequeg " * 200]
    made, _ = largest_vocabulary_of(texts)
    assert " there" in made.tokens
    assert not any("ueq" in token for token in made.tokens)
    assert reasons(made)["Queequeg"] == "rare"
    removed = next(each for each in made.removed if each.token == " Queequeg")
    assert (removed.documents, removed.count) == (1, 199)
    kept, _ = largest_vocabulary_of(texts, keep=["rare"])
    assert "Queequeg" in kept.tokens


def test_a_rare_token_stays_while_a_good_one_is_made_of_it():
    texts = [f"アルゴリズムは{'あいうえお'[i % 5]}" for i in range(60)]
    made, sample = largest_vocabulary_of(texts)
    bpe = assemble(made.tokens)
    usage = sample.usage(bpe)
    assert any("アルゴリズム" in token for token in made.tokens)
    assert made.steps
    for token in made.tokens:
        if usage.documents[bpe.token_to_id(token)] < 2:
            assert token in made.steps
    for step in made.steps:  # without it something else could not be reached
        rest = [token for token in made.tokens if token != step]
        assert unreachable(assemble(rest), rest)


def test_what_is_made_of_removed_tokens_goes_with_them_unless_there_is_another_way():
    texts = ["httpserver httpclient server client " * 3 + str(i) for i in range(20)]
    made, _ = largest_vocabulary_of(texts)
    assert "http" not in made.tokens
    assert reasons(made)[" http"] == "address"
    assert unreachable(assemble(made.tokens), made.tokens) == []


def test_a_variant_stays_only_where_it_pays():
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "theta", "iota", "kappa", "lambda"]
    texts = [" ".join(words) for _ in range(100)]
    made, _ = vocabulary_of([*texts, "Ａ", "Ａ", "Ａ"], 20, min_documents=1)
    assert reasons(made) == {"Ａ": "variant"}
    often, _ = vocabulary_of([*texts, *["ＡＡ Ａ"] * 200], 20, min_documents=1)
    assert "Ａ" in often.tokens
    kept, _ = vocabulary_of([*texts, "Ａ", "Ａ", "Ａ"], 20, min_documents=1, keep=["variant"])
    assert "Ａ" in kept.tokens


def test_a_corpus_without_enough_tokens_is_refused_with_the_size_it_allows():
    texts = ["abcabc abcabc abd"] * 5
    made, _ = largest_vocabulary_of(texts)
    assert "abcabc" in made.tokens
    with pytest.raises(InputError, match="too small for the vocabulary"):
        vocabulary_of(texts, len(made.tokens) + 1)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab東京ww=12Ａー 。\n"), min_size=5, max_size=60), min_size=8, max_size=30))
def test_whatever_the_corpus_every_token_is_reachable_and_suitable(texts):
    made, sample = largest_vocabulary_of(["東ab京 " + text * 2 for text in texts])
    assert len(made.tokens) == len(set(made.tokens))
    bpe = assemble(made.tokens)
    assert unreachable(bpe, made.tokens) == []
    usage = sample.usage(bpe)
    for token in made.tokens:
        assert not any(each.holds(token) for each in wanted_classes([]) if each.holds)
        assert token in made.steps or usage.documents[bpe.token_to_id(token)] >= 2


def test_usage_is_what_encoding_each_document_gives(sample):
    documents = [document for document in sample if document.domain == "ja"][:15]
    bpe = assemble(["の", "は", "日", "本", "日本", "。"])
    usage = DocumentSample(documents, {"ja": 1.0}).usage(bpe)
    encoded = [bpe.encode(document.text, add_special_tokens=False).ids for document in documents]
    assert usage.tokens == {"ja": sum(map(len, encoded))}
    for number in range(bpe.get_vocab_size()):
        assert usage.counts[number] == sum(ids.count(number) for ids in encoded)
        assert usage.documents[number] == sum(number in ids for ids in encoded)
