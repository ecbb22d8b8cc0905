"""Near duplicates across a corpus: MinHash over shingles of characters, on datatrove's blocks.

datatrove writes the signatures by band and sorts them; documents that agree in all hashes of a band are candidates.
Ours is what makes the shingles, and what looks at the whole signature of each pair of candidates before it believes
them: so a band can have few hashes, which misses few near duplicates, and strangers that agree in one by chance are not
thrown away. Of a group of near duplicates the first in the order of the corpus stays.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import MinhashConfig, MinhashDedupSignature
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WordTokenizer

from .duplicates import DUPLICATE, write_duplicates
from .profile import DIGIT, HIRAGANA, KANJI, KATAKANA, LATIN, LETTER, TextProfile, hashes_of_ngrams

PAIR = np.dtype([("file", "<u4"), ("document", "<u4"), ("other_file", "<u4"), ("other_document", "<u4")])
VERIFIED_AT_ONCE = 100_000  # pairs; two signatures of 400 bytes each
BLOCK = 4096  # shingles hashed at once; their products with all hash functions fit into the cache of a core


@dataclass(frozen=True)
class NearDuplicateSettings:
    """What counts as a near duplicate.

    Attributes:
        shingle: kana and kanji in a shingle, or half the Latin letters. Four are about two Japanese words, of which
            strangers share 3 in 1,000.
        bands: bands of the signature; agreeing in one makes two documents candidates.
        rows: hashes of a band.
        similarity: estimated Jaccard similarity of the shingles, 0 to 1, from which on candidates are duplicates.
    """

    shingle: int = 4
    bands: int = 25
    rows: int = 4
    similarity: float = 0.45

    @property
    def hashes(self) -> int:
        """Length of a signature."""
        return self.bands * self.rows

    def minhash_config(self) -> MinhashConfig:
        """datatrove's settings of the same meaning."""
        return MinhashConfig(
            n_grams=self.shingle, num_buckets=self.bands, hashes_per_bucket=self.rows, hash_config=HashConfig(32)
        )


def shingles_of(text: str, length: int) -> np.ndarray:
    """Hashes of the different shingles of a text: n-grams of its letters and digits, all widths and cases alike.

    A shingle that begins with a kana or kanji has `length` letters, any other twice as many: four letters of English
    would say nothing, since every novel has them all.

    Returns:
        uint64, shape (shingles,); empty for a text of fewer letters.
    """
    profile = TextProfile(unicodedata.normalize("NFKC", text).lower())
    classes = profile.classes
    japanese = (classes == HIRAGANA) | (classes == KATAKANA) | (classes == KANJI)
    letters = japanese | (classes == LATIN) | (classes == LETTER) | (classes == DIGIT)
    codes, japanese = profile.codes[letters].astype(np.uint64), japanese[letters]
    shingles = [np.zeros(0, np.uint64)]
    for wanted, n in ((japanese, length), (~japanese, 2 * length)):
        if len(codes) >= n:
            shingles.append(hashes_of_ngrams(codes, n)[wanted[: len(codes) - n + 1]])
    return np.unique(_mixed(np.concatenate(shingles)))


def _mixed(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser (Steele, Lea and Flood, 2014): every input bit reaches every output bit."""
    values = values ^ (values >> np.uint64(30))
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def minhash_signature(shingles: np.ndarray, hashes: int) -> np.ndarray:
    """The smallest value of each hash function over the shingles, uint32, shape (hashes,).

    Args:
        shingles: from `shingles_of`, at least one.
        hashes: number of hash functions, of the multiply-shift family (Dietzfelbinger et al., 1997).
    """
    generator = np.random.default_rng(13)
    factors = generator.integers(0, 1 << 63, hashes, np.uint64) * np.uint64(2) + np.uint64(1)
    terms = generator.integers(0, 1 << 63, hashes, np.uint64)
    smallest = np.full(hashes, np.iinfo(np.uint64).max, np.uint64)
    for start in range(0, len(shingles), BLOCK):
        products = factors[:, None] * shingles[None, start : start + BLOCK] + terms[:, None]
        np.minimum(smallest, products.min(axis=1), out=smallest)
    return (smallest >> np.uint64(32)).astype(np.uint32)


class _NoWords(WordTokenizer):
    """Stands where datatrove would load a word segmenter; shingles of characters need none."""

    def word_tokenize(self, text: str) -> list[str]:
        raise NotImplementedError

    sent_tokenize = span_tokenize = word_tokenize


class WriteMinhashSignatures(MinhashDedupSignature):
    """datatrove's first MinHash step with shingles of characters; also keeps each whole signature for verification.

    Args:
        output_folder: for datatrove's signatures by band.
        signatures: folder for the whole signatures, one file a part, a row of uint32 a document, and for the rows at
            which the documents stand in the part.
        settings: what counts as a near duplicate.
    """

    def __init__(self, output_folder: Path, signatures: Path, settings: NearDuplicateSettings):
        super().__init__(str(output_folder), settings.minhash_config(), language=_NoWords())
        self.signatures, self.settings = signatures, settings

    def get_shingles(self, text: str) -> np.ndarray:
        return shingles_of(text, self.settings.shingle).reshape(-1, 1)

    def get_signature(self, shingles: np.ndarray) -> list[list[int]]:
        self._whole = minhash_signature(shingles[:, 0], self.settings.hashes)
        return [band.tolist() for band in np.split(self._whole, self.settings.bands)]

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1):
        signatures, rows = _signature_files(self.signatures, rank)
        signatures.parent.mkdir(parents=True, exist_ok=True)
        with signatures.open("wb") as file, rows.open("wb") as row_file:
            none = np.zeros(self.settings.hashes, np.uint32)

            def noting() -> DocumentsPipeline:
                for row in data:
                    self._whole = none
                    yield row
                    file.write(self._whole.astype("<u4").tobytes())
                    row_file.write(np.uint32(row.metadata["row"]).astype("<u4").tobytes())

            super().run(noting(), rank, world_size)


def _signature_files(folder: Path, part: int) -> tuple[Path, Path]:
    return folder / f"{part:05d}.u32", folder / f"{part:05d}.rows"


class KeepFirstOfCluster(PipelineStep):
    """Believes the candidate pairs whose signatures agree enough, and notes all but the first document of each cluster.

    Takes the place of datatrove's third MinHash step, whose survivor is an arbitrary one. One task, which holds some
    dozen bytes in memory for each document that is a near duplicate.

    Args:
        pairs: folder of datatrove's candidate pairs.
        signatures: folder of the whole signatures.
        found: gets a file for each part, as `DropDuplicates` reads them.
        settings: what counts as a near duplicate.
    """

    type = "🫂 - DEDUP"
    name = "near-duplicate clusters"

    def __init__(self, pairs: Path, signatures: Path, found: Path, settings: NearDuplicateSettings):
        super().__init__()
        self.pairs, self.signatures, self.found, self.settings = pairs, signatures, found, settings

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> None:
        with self.track_time():
            nodes = firsts = np.zeros(0, np.uint64)  # part * 2**32 + number of the document
            for path in sorted(self.pairs.glob("*.dups")):
                believed = self._believed(np.fromfile(path, PAIR))
                ones, others = (_nodes(believed[f"{name}file"], believed[f"{name}document"]) for name in ("", "other_"))
                nodes, firsts = first_of_cluster(np.concatenate([nodes, ones]), np.concatenate([firsts, others]))
            self.stat_update("found", value=len(nodes))
            parts = (nodes >> np.uint64(32)).astype(np.uint32)
            duplicates = np.zeros(len(nodes), DUPLICATE)
            duplicates["row"] = self._rows(nodes)
            duplicates["first_part"], duplicates["first_row"] = firsts >> np.uint64(32), self._rows(firsts)
            write_duplicates(self.found, rank, parts, duplicates)

    def _believed(self, pairs: np.ndarray) -> np.ndarray:
        """The pairs whose signatures agree in the wanted share of their hashes."""
        pairs = np.sort(pairs, order=("file", "other_file"))
        believed = [np.zeros(0, PAIR)]
        for start in range(0, len(pairs), VERIFIED_AT_ONCE):
            block = pairs[start : start + VERIFIED_AT_ONCE]
            ones, others = (self._signatures(block[f"{x}file"], block[f"{x}document"]) for x in ("", "other_"))
            believed.append(block[(ones == others).mean(axis=1) >= self.settings.similarity])
        self.stat_update("candidates", value=len(pairs))
        self.stat_update("believed", value=sum(map(len, believed)))
        return np.concatenate(believed)

    def _signatures(self, parts: np.ndarray, documents: np.ndarray) -> np.ndarray:
        """Signatures of documents, uint32, shape (documents, hashes); each part's file is opened once."""
        signatures = np.empty((len(parts), self.settings.hashes), np.uint32)
        for part, chosen in _by_part(parts):
            flat = np.memmap(_signature_files(self.signatures, part)[0], "<u4", "r")
            signatures[chosen] = flat.reshape(-1, self.settings.hashes)[documents[chosen]]
        return signatures

    def _rows(self, nodes: np.ndarray) -> np.ndarray:
        """At which row of its part each document stands, uint32, shape (documents,)."""
        rows = np.empty(len(nodes), np.uint32)
        for part, chosen in _by_part(nodes >> np.uint64(32)):
            numbers = (nodes[chosen] & np.uint64(0xFFFFFFFF)).astype(np.int64)
            rows[chosen] = np.fromfile(_signature_files(self.signatures, part)[1], "<u4")[numbers]
        return rows


def _nodes(parts: np.ndarray, documents: np.ndarray) -> np.ndarray:
    return parts.astype(np.uint64) << np.uint64(32) | documents.astype(np.uint64)


def _by_part(parts: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(part, indices of its members) of each part that occurs."""
    order = np.argsort(parts, kind="stable")
    present, begins = np.unique(parts[order], return_index=True)
    yield from zip(present.tolist(), np.split(order, begins[1:]))


def first_of_cluster(ones: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of what is joined by pairs.

    Args:
        ones, others: the two members of each pair, uint64, shape (pairs,).

    Returns:
        (every member but the smallest of its cluster, the smallest of its cluster), sorted by the former.
    """
    members, indices = np.unique(np.concatenate([ones, others]), return_inverse=True)
    edges = scipy.sparse.coo_array(
        (np.ones(len(ones), bool), (indices[: len(ones)], indices[len(ones) :])), shape=(len(members),) * 2
    )
    _, clusters = scipy.sparse.csgraph.connected_components(edges, directed=False)
    _, smallest = np.unique(clusters, return_index=True)  # members are sorted, so the first is the smallest
    firsts = members[smallest][clusters]
    return members[members != firsts], firsts[members != firsts]
