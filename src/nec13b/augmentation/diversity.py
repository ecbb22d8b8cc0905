"""How varied a set of texts is, and how far it has moved from its seeds: measures of n-grams that need no model.

Self-BLEU and the share of different n-grams both depend on how many texts there are. So two sets are compared by
equally many texts of each.
"""

import random
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy.sparse

from ..corpus.near_duplicates import shingles_of

# A kana or kanji by itself, other words whole, signs by themselves: Japanese needs no word segmenter for this.
UNIT = re.compile(
    r"[\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff々]|[^\W\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff々]+|[^\w\s]"
)
LONGEST_GRAM = 4
SHINGLE = 3
MOST_TEXTS = 2_000  # of each set
DRAWS = 10  # of a set that is larger than the other


def diversity(texts: Sequence[str], seeds: Sequence[str], seed: int = 13) -> dict[str, dict[str, float] | int]:
    """Measures of a set of texts beside those of its seeds, on equally many of each.

    Of the larger set several samples are drawn, and their measures averaged.

    Args:
        texts, seeds: the two sets.
        seed: of the draw.

    Returns:
        `texts`, how many of each set were compared; and for `kept` and `seeds`: `self_bleu` (0 to 100; lower is more
        varied), `distinct_2` and `distinct_3` (share of different n-grams, 0 to 1), `nearest_other` (mean Jaccard
        similarity of the shingles with the nearest other text of the set) and, for `kept`, `nearest_seed` (with the
        nearest seed). Empty where there are not two of each.
    """
    size = min(len(texts), len(seeds), MOST_TEXTS)
    if size < 2:
        return {}
    chance = random.Random(seed)
    all_seeds = seeds if len(seeds) <= MOST_TEXTS else chance.sample(list(seeds), MOST_TEXTS)

    def drawn(members: Sequence[str], nearest_seed: bool) -> dict[str, float]:
        draws = 1 if len(members) == size else DRAWS
        rows = []
        for _ in range(draws):
            sample = chance.sample(list(members), size)
            rows.append(_measures(sample))
            if nearest_seed:
                rows[-1]["nearest_seed"] = nearest_similarity(sample, all_seeds)
        return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}

    return {"texts": size, "kept": drawn(texts, True), "seeds": drawn(seeds, False)}


def _measures(texts: Sequence[str]) -> dict[str, float]:
    units = [units_of(text) for text in texts]
    return {
        "self_bleu": self_bleu(units),
        **{f"distinct_{n}": distinct_share(units, n) for n in (2, 3)},
        "nearest_other": nearest_similarity(texts),
    }


def units_of(text: str) -> list[str]:
    """The units that n-grams are made of: kana and kanji one by one, words of other scripts, signs."""
    return UNIT.findall(text)


def distinct_share(texts: Sequence[Sequence[str]], n: int) -> float:
    """Different n-grams of all texts together, as a share of all n-grams (distinct-n; Li et al., 2016)."""
    grams = [gram for units in texts for gram in _grams(units, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def self_bleu(texts: Sequence[Sequence[str]]) -> float:
    """The mean BLEU of each text with all others as references, 0 to 100 (Zhu et al., 2018, arXiv:1802.01886).

    The same number as sacrebleu's sentence BLEU (effective order, exponential smoothing) gives, in time that grows
    with the number of n-grams and not with the square of the number of texts: what counts of the references is the
    most that any of them has of an n-gram, which the two largest counts of all texts tell for every text.

    Args:
        texts: at least two, each as its units.
    """
    counts = [[Counter(_grams(units, n)) for n in range(1, LONGEST_GRAM + 1)] for units in texts]
    largest: dict[tuple, list[int]] = {}  # gram -> largest count, whose it is, second largest
    for number, by_order in enumerate(counts):
        for gram, count in (item for grams in by_order for item in grams.items()):
            first = largest.setdefault(gram, [0, -1, 0])
            if count > first[0]:
                first[:] = count, number, first[0]
            elif count > first[2]:
                first[2] = count
    lengths = sorted(map(len, texts))
    scores = []
    for number, by_order in enumerate(counts):
        matches = []
        for grams in by_order:
            most = (largest[gram][2 if largest[gram][1] == number else 0] for gram in grams)
            matches.append((sum(map(min, grams.values(), most)), sum(grams.values())))
        scores.append(_bleu(matches, len(texts[number]), _closest_other(lengths, len(texts[number]))))
    return float(np.mean(scores))


def nearest_similarity(texts: Sequence[str], others: Sequence[str] | None = None) -> float:
    """The mean, over texts, of the Jaccard similarity of their shingles with those of the nearest other text.

    Args:
        texts: the texts.
        others: among which the nearest is looked for; None: among the other texts of the set.
    """
    within = others is None
    sets = [shingles_of(text, SHINGLE) for text in (texts if within else [*texts, *others])]
    values, columns = np.unique(np.concatenate([*sets, np.zeros(0, np.uint64)]), return_inverse=True)
    sizes = np.array([len(members) for members in sets])
    rows = np.repeat(np.arange(len(sets)), sizes)
    matrix = scipy.sparse.csr_array(
        (np.ones(len(rows), np.int32), (rows, columns)), shape=(len(sets), max(1, len(values)))
    )
    first, second = (slice(None),) * 2 if within else (slice(len(texts)), slice(len(texts), None))
    shared = (matrix[first] @ matrix[second].T).toarray()
    union = sizes[first][:, None] + sizes[second][None, :] - shared
    similarity = shared / np.maximum(union, 1)
    if within:
        np.fill_diagonal(similarity, 0)
    return float(similarity.max(axis=1).mean())


def _grams(units: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(units[i:] for i in range(n))))


def _closest_other(lengths: list[int], length: int) -> int:
    """The length, among those of the other texts, that is closest to a text's own; of two the shorter."""
    place = int(np.searchsorted(lengths, length))
    others = lengths[max(0, place - 1) : place] + lengths[place + 1 : place + 2]
    return min(others, key=lambda other: (abs(other - length), other))


def _bleu(matches: list[tuple[int, int]], length: int, reference: int) -> float:
    """BLEU of (matching, all) n-grams of each order; orders that the text is too short for do not count."""
    matches = [pair for pair in matches if pair[1]]
    if not matches or not matches[0][0]:
        return 0.0
    logarithms, smoothing = [], 1
    for matching, all_grams in matches:
        if not matching:
            smoothing *= 2
        logarithms.append(np.log(matching / all_grams if matching else 1 / (smoothing * all_grams)))
    brevity = min(0.0, 1 - reference / length)
    return 100 * float(np.exp(brevity + np.mean(logarithms)))
