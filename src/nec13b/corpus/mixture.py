"""How much of each source goes into training: proportions of tokens by domain, and passes through each source.

The paper mixes Japanese, English and code in fixed proportions. Given a number of training tokens, each domain gets its
share; within a domain the sources share it by their size times a weight. No source is gone through more than
`max_epochs` times: up to four passes are about as good as new text (Muennighoff et al., 2023, arXiv:2305.16264). What a
source may not give any more, the others of its domain give; what the domain cannot give makes the whole training
shorter, since the proportions are kept.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..run_record import read_json
from .documents import Document
from .sources import CLEAN_MARK_NAME, Source

FORMAT = "nec13b-mixture-1"
# The paper fixes proportions of web-heavy Japanese, English and code without giving them; see docs/decisions.md.
DEFAULT_PROPORTIONS = {"ja": 0.45, "en": 0.35, "code": 0.2}
# What recipes/train_tokenizer.py gives with 50,176 tokens (books, encyclopaedia and documentation in both languages,
# the standard library of Python as code); used where no tokenizer is given.
CHARACTERS_PER_TOKEN = {"ja": 2.2, "en": 4.1, "code": 3.9}
OTHER_CHARACTERS_PER_TOKEN = 3.0


@dataclass(frozen=True)
class SourcePlan:
    """What one source gives.

    Attributes:
        domain, source: which.
        tokens: tokens of its training part.
        weight: how much more (or less) often than others of its domain it is gone through.
        epochs: how often it is gone through.
    """

    domain: str
    source: str
    tokens: int
    weight: float
    epochs: float

    @property
    def train_tokens(self) -> float:
        """Tokens that training sees of it."""
        return self.tokens * self.epochs


@dataclass(frozen=True)
class Mixture:
    """The plan of a corpus.

    Attributes:
        proportions: share of each domain, summing to 1.
        wanted_tokens: for how many training tokens it was made.
        train_tokens: how many the corpus gives without going through a source too often.
        max_epochs: how often that is.
        sources: the plan of each source.
    """

    proportions: dict[str, float]
    wanted_tokens: int
    train_tokens: int
    max_epochs: float
    sources: list[SourcePlan] = field(default_factory=list)

    def to_json(self) -> dict:
        total = sum(plan.train_tokens for plan in self.sources) or 1
        repeats = _repeats(self.sources)
        most = {
            domain: max(times for plan, times in zip(self.sources, repeats) if plan.domain == domain)
            for domain in self.proportions
        }
        return {
            "format": FORMAT,
            "proportions": {domain: round(share, 6) for domain, share in self.proportions.items()},
            "wanted_tokens": self.wanted_tokens,
            "train_tokens": self.train_tokens,
            "max_epochs": self.max_epochs,
            # Passes through the packed tokens of a domain, in which a weighted source stands several times.
            "most_passes": {domain: round(self.max_epochs / times, 4) for domain, times in most.items()},
            "sources": [
                {
                    "domain": plan.domain,
                    "source": plan.source,
                    "tokens": plan.tokens,
                    "weight": plan.weight,
                    "epochs": round(plan.epochs, 4),
                    "share": round(plan.train_tokens / total, 4),
                    "repeats": round(times, 4),
                }
                for plan, times in zip(self.sources, repeats)
            ],
        }


def resolve_proportions(
    wanted: dict[str, float] | None, present: list[str], setting: str = "mixture"
) -> dict[str, float]:
    """The mixture over the domains that exist, summing to 1.

    Without a wanted mixture the default proportions are taken over the domains present; a domain that the default does
    not know gets the smallest share among them.

    Args:
        wanted: by domain, above 0; None or empty: the default.
        present: the domains of the corpus.
        setting: what the user calls it.

    Raises:
        InputError: a wanted domain is not in the corpus, or a proportion is not above 0.
    """
    if wanted:
        for domain, share in wanted.items():
            if isinstance(share, bool) or not isinstance(share, (int, float)) or not share > 0:
                raise InputError(f"{setting}: the proportion of {domain} must be above 0, not {share!r}")
            if domain not in present:
                raise InputError(f"{setting} names {domain!r}, but the corpus holds only {', '.join(sorted(present))}")
        shares = dict(wanted)
    else:
        shares = {domain: DEFAULT_PROPORTIONS.get(domain, min(DEFAULT_PROPORTIONS.values())) for domain in present}
    total = sum(shares.values())
    return {domain: shares[domain] / total for domain in sorted(shares)}


def plan_mixture(
    tokens: dict[tuple[str, str], int],
    proportions: dict[str, float],
    wanted_tokens: int,
    weights: dict[str, float] | None = None,
    max_epochs: float = 4.0,
) -> Mixture:
    """Plans the mixture of a corpus.

    Args:
        tokens: training tokens by (domain, source).
        proportions: wanted share by domain; domains that the corpus lacks are left out, the others share their part.
        wanted_tokens: training tokens in all.
        weights: by source; 1 where none is given.
        max_epochs: most passes through a source.

    Raises:
        InputError: no wanted domain is there, a weighted source is not there, or a value makes no sense.
    """
    weights = weights or {}
    for source, weight in weights.items():
        if source not in {name for _, name in tokens}:
            known = ", ".join(sorted({name for _, name in tokens}))
            raise InputError(f"source_weights names {source!r}, but the sources are {known}")
        if not weight > 0:
            raise InputError(f"source_weights: the weight of {source} must be above 0, not {weight!r}")
    present = [domain for domain in proportions if any(key[0] == domain and count for key, count in tokens.items())]
    if not present:
        raise InputError(f"the corpus holds no training text of the domains in proportions ({', '.join(proportions)})")
    total = sum(proportions[domain] for domain in present)
    shares = {domain: proportions[domain] / total for domain in present}
    by_domain = {
        domain: {source: count for (d, source), count in sorted(tokens.items()) if d == domain and count}
        for domain in present
    }
    # The domain that is shortest of text, for its share, decides how long training can be.
    train_tokens = min(
        wanted_tokens, *(int(max_epochs * sum(by_domain[domain].values()) / shares[domain]) for domain in present)
    )
    plans = []
    for domain in present:
        epochs = _epochs(by_domain[domain], weights, shares[domain] * train_tokens, max_epochs)
        plans += (
            SourcePlan(domain, source, count, float(weights.get(source, 1.0)), epochs[source])
            for source, count in by_domain[domain].items()
        )
    return Mixture(shares, wanted_tokens, train_tokens, max_epochs, plans)


def _epochs(tokens: dict[str, int], weights: dict[str, float], budget: float, max_epochs: float) -> dict[str, float]:
    """Passes through each source so that together they give the budget: as weighted, but none above the most."""
    full: set[str] = set()
    while True:
        left = {source: count for source, count in tokens.items() if source not in full}
        rest = budget - sum(max_epochs * tokens[source] for source in full)
        weighted = sum(count * weights.get(source, 1.0) for source, count in left.items())
        factor = max(0.0, rest) / weighted if weighted else 0.0
        over = {source for source in left if factor * weights.get(source, 1.0) > max_epochs}
        if not over:
            return {s: max_epochs if s in full else factor * weights.get(s, 1.0) for s in tokens}
        full |= over


def _repeats(plans: list[SourcePlan]) -> list[float]:
    """How often each document is packed: 1 for the least visited source of a domain, more for the others.

    Going through a domain several times is the business of the data order; packing only brings about the ratio between
    its sources.
    """
    least: dict[str, float] = {}
    for plan in plans:
        least[plan.domain] = min(least.get(plan.domain, plan.epochs), plan.epochs)
    return [plan.epochs / least[plan.domain] if least[plan.domain] else 1.0 for plan in plans]


def read_mixture(path: str | Path) -> dict:
    """The plan that a cleansing has written, from its folder or from the file; raises InputError."""
    path = Path(path)
    if path.is_dir():
        path = path / CLEAN_MARK_NAME
    plan = read_json(path, "recipes/clean_corpus.py")
    if plan.get("format") != FORMAT:
        raise InputError(f"{path} is no mixture of this version; make it again with recipes/clean_corpus.py")
    return plan


def mixture_of_corpus(sources: list[Source]) -> dict | None:
    """The plan of a corpus that is one cleansing's output; None for any other corpus."""
    if len(sources) == 1 and sources[0].is_cleaned:
        return read_mixture(Path(sources[0].location).expanduser())
    return None


def repeated(documents: Iterable[Document], plan: dict) -> Iterator[Document]:
    """The documents, those of sources that are gone through more often that much more often.

    A source with 2.5 repeats gives each document twice or three times; which, the document's hash decides. Documents
    that are held out come once.
    """
    repeats = {(entry["domain"], entry["source"]): entry["repeats"] for entry in plan["sources"]}
    for document in documents:
        times = repeats.get((document.domain, document.source), 1.0)
        if document.split == "held_out":
            times = 1.0
        whole, part = divmod(times, 1)
        digest = hashlib.sha1(b"repeat\0" + (document.id or document.text).encode()).digest()
        for _ in range(int(whole) + (int.from_bytes(digest[:8], "big") < part * 2**64)):
            yield document
