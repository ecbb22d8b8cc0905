"""How a vocabulary is used on a sample of documents: how often each token occurs, and in how many documents."""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from tokenizers import Tokenizer

from ..corpus import Document
from .pre_tokens import pre_tokens

DOCUMENTS_AT_ONCE = 2_000  # of which the tokens are looked up together
PRE_TOKENS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Usage:
    """What a sample needs of a vocabulary.

    Attributes:
        counts: how often each token occurs, by id; weighted, so that the sample has the proportions of training.
        documents: in how many documents, by id.
        characters, tokens: of each domain.
    """

    counts: np.ndarray
    documents: np.ndarray
    characters: dict[str, int]
    tokens: dict[str, int]


class DocumentSample:
    """Documents as counts of pre-tokens, so that they can be encoded again and again with other vocabularies.

    Args:
        documents: the sample; held as 12 bytes for each of a document's different pre-tokens.
        shares: by domain, the share of the weighted characters; documents of other domains are left out. None: all
            documents weigh the same.
    """

    def __init__(self, documents: Iterable[Document], shares: Mapping[str, float] | None = None):
        places: dict[str, int] = {}
        columns: list[np.ndarray] = []
        values: list[np.ndarray] = []
        domains: list[str] = []
        self.characters: Counter[str] = Counter()
        for document in documents:
            if shares is not None and document.domain not in shares:
                continue
            counts = Counter(pre_tokens(document.text))
            columns.append(
                np.fromiter((places.setdefault(word, len(places)) for word in counts), np.int32, len(counts))
            )
            values.append(np.fromiter(counts.values(), np.int32, len(counts)))
            domains.append(document.domain)
            self.characters[document.domain] += len(document.text)
        self.pre_tokens = list(places)
        starts = np.concatenate([[0], np.cumsum([len(part) for part in columns], dtype=np.int64)])
        empty = np.empty(0, np.int32)
        self._counts = scipy.sparse.csr_matrix(
            (np.concatenate(values or [empty]), np.concatenate(columns or [empty]), starts),
            shape=(len(domains), len(places)),
        )
        self._domains = np.array(domains)
        most = max((self.characters[d] / shares[d] for d in self.characters), default=1.0) if shares else 1.0
        self._weights = {d: most * shares[d] / self.characters[d] if shares else 1.0 for d in self.characters}

    def __len__(self) -> int:
        return len(self._domains)

    def usage(self, bpe: Tokenizer) -> Usage:
        """Encodes the sample with a vocabulary."""
        size = bpe.get_vocab_size()
        # In batches: an encoding takes a kilobyte, its ids a few bytes.
        ids, lengths = array("i"), array("i")
        for start in range(0, len(self.pre_tokens), PRE_TOKENS_AT_ONCE):
            batch = self.pre_tokens[start : start + PRE_TOKENS_AT_ONCE]
            for encoding in bpe.encode_batch_fast(batch, add_special_tokens=False):
                ids.extend(encoding.ids)
                lengths.append(len(encoding.ids))
        lengths = np.array(lengths, np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        tokens = scipy.sparse.csr_matrix(
            (np.ones(len(ids), np.int32), np.array(ids, np.int32), starts), shape=(len(lengths), size)
        )
        tokens.sum_duplicates()
        counts, used = np.zeros(size), {}
        for domain, weight in sorted(self._weights.items()):
            rows = self._counts[self._domains == domain]
            words = np.asarray(rows.sum(axis=0)).ravel()
            counts += weight * (tokens.T @ words)
            used[domain] = int(lengths @ words)
        documents = np.zeros(size, np.int64)
        for start in range(0, len(self), DOCUMENTS_AT_ONCE):
            present = self._counts[start : start + DOCUMENTS_AT_ONCE] @ tokens
            documents += np.bincount(present.indices, minlength=size)
        return Usage(counts, documents, dict(self.characters), used)
