"""Duplicates across a corpus, exact and near, on datatrove's deduplication blocks.

Exact duplicates are found by a hash of the text without its spaces. Near duplicates are found by MinHash over shingles
of
characters: datatrove sorts the signatures by band, and documents that agree in a band are candidates; ours is what
makes the shingles, and what looks at the whole signature of each candidate pair before it believes it, so that the
bands can be narrow (few near duplicates are missed) without throwing away strangers. Of a group of duplicates the
first in the order
of the corpus stays: list the better source first.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datatrove.data import Document as Row
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import ExactDedupConfig, MinhashConfig, MinhashDedupSignature
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WordTokenizer

from .profile import DIGIT, HIRAGANA, KANJI, KATAKANA, LATIN, LETTER, TextProfile, hashes_of_ngrams

PAIR = np.dtype([("file", "<u4"), ("document", "<u4"), ("other_file", "<u4"), ("other_document", "<u4")])
BLOCK = 4096  # shingles hashed at once; their products with all hash functions fit into the cache of a core


def text_without_space(document: Row) -> bytes:
    """What exact duplicates have in common."""
    return "".join(document.text.split()).encode()


def first_parts_first(document: Row) -> int:
    """datatrove's priority, 1 to 65535: the earlier the part of the corpus, the higher."""
    return max(1, 65_535 - document.metadata["part"])


def exact_config() -> ExactDedupConfig:
    """datatrove's settings for exact duplicates."""
    return ExactDedupConfig(content_getter=text_without_space, document_priority=first_parts_first)


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
        signatures: folder for the whole signatures, one file a part, a row of uint32 a document.
        settings: what counts as a near duplicate.
    """

    def __init__(self, output_folder: str, signatures: str, settings: NearDuplicateSettings):
        super().__init__(output_folder, settings.minhash_config(), language=_NoWords())
        self.signatures, self.settings = signatures, settings

    def get_shingles(self, text: str) -> np.ndarray:
        return shingles_of(text, self.settings.shingle).reshape(-1, 1)

    def get_signature(self, shingles: np.ndarray) -> list[list[int]]:
        self._whole = minhash_signature(shingles[:, 0], self.settings.hashes)
        return [band.tolist() for band in np.split(self._whole, self.settings.bands)]

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1):
        path = signature_file(self.signatures, rank)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            none = np.zeros(self.settings.hashes, np.uint32)

            def noting() -> DocumentsPipeline:
                for row in data:
                    self._whole = none
                    yield row
                    file.write(self._whole.astype("<u4").tobytes())

            super().run(noting(), rank, world_size)


def signature_file(folder: str, part: int) -> Path:
    """Where the whole signatures of a part lie."""
    return Path(folder) / f"{part:05d}.u32"


class KeepFirstOfCluster(PipelineStep):
    """Believes the candidate pairs whose signatures agree enough, and notes all but the first document of each cluster.

    Takes the place of datatrove's third MinHash step, whose survivor is an arbitrary one. One task.

    Args:
        pairs: folder of datatrove's candidate pairs.
        signatures: folder of the whole signatures.
        output_folder: for the documents to remove, as datatrove's fourth step reads them.
        settings: what counts as a near duplicate.
    """

    type = "🫂 - DEDUP"
    name = "near-duplicate clusters"

    def __init__(self, pairs: str, signatures: str, output_folder: str, settings: NearDuplicateSettings):
        super().__init__()
        self.pairs, self.signatures, self.output_folder, self.settings = pairs, signatures, output_folder, settings

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> None:
        parents: dict[tuple[int, int], tuple[int, int]] = {}

        def first_of(node: tuple[int, int]) -> tuple[int, int]:
            root = node
            while (parent := parents.get(root, root)) != root:
                root = parent
            while (parent := parents.get(node, node)) != root:
                parents[node], node = root, parent
            return root

        with self.track_time():
            for path in sorted(Path(self.pairs).glob("*.dups")):
                for pair in self._believed(np.fromfile(path, PAIR)):
                    one, other = first_of(tuple(pair[:2])), first_of(tuple(pair[2:]))
                    if one != other:
                        parents[max(one, other)] = min(one, other)
            removed: dict[int, list[int]] = {}
            for part, document in sorted(parents):
                if first_of((part, document)) != (part, document):
                    removed.setdefault(part, []).append(document)
            folder = Path(self.output_folder)
            folder.mkdir(parents=True, exist_ok=True)
            for part, documents in removed.items():
                self.stat_update("removed", value=len(documents))
                np.array(documents, "<u4").tofile(folder / f"{part:06d}.remove")

    def _believed(self, pairs: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
        """The pairs whose signatures agree in the wanted share of their hashes."""
        rows = self._rows
        for part, other_part in sorted(set(zip(pairs["file"].tolist(), pairs["other_file"].tolist()))):
            chosen = pairs[(pairs["file"] == part) & (pairs["other_file"] == other_part)]
            for start in range(0, len(chosen), BLOCK):
                block = chosen[start : start + BLOCK]
                agreeing = rows(part)[block["document"]] == rows(other_part)[block["other_document"]]
                similar = agreeing.mean(axis=1) >= self.settings.similarity
                self.stat_update("candidates", value=len(block))
                self.stat_update("believed", value=int(similar.sum()))
                yield from block[similar].tolist()

    def _rows(self, part: int) -> np.ndarray:
        flat = np.memmap(signature_file(self.signatures, part), "<u4", "r")
        return flat.reshape(-1, self.settings.hashes)
