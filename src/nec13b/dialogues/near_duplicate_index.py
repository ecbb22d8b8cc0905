"""Near duplicates among some million texts in memory, told as they come: MinHash by the same shingles as a corpus.

The search over a whole corpus (`corpus/near_duplicates.py`) runs in stages over sorted files. Dialogues are fewer, and
whoever writes new ones wants to know at once whether there is one like it, so here is an index that grows.
"""

import unicodedata

import numpy as np

from ..corpus.near_duplicates import NearDuplicateSettings, minhash_signature, shingles_of

FEWEST_SHINGLES = 20  # of fewer, a handful in common would decide


def letters_of(text: str) -> str:
    """Its letters and digits, of one width and case: what two texts that are too short for shingles are compared by.

    A text that has neither stands for itself.
    """
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum()) or text.strip()


class NearDuplicateIndex:
    """The texts that were added, each by its name; about 3 kB of memory a text.

    Args:
        similarity: estimated Jaccard similarity of the shingles, 0 to 1, from which on two texts are alike. Pairs below
            0.45 or so may be missed, since the index has 25 bands of 4 hashes.
        shingle: kana and kanji in a shingle, or half the Latin letters.
        fewest_shingles: texts of fewer are like none.
    """

    def __init__(self, similarity: float, shingle: int = 4, fewest_shingles: int = FEWEST_SHINGLES):
        self.settings = NearDuplicateSettings(similarity=similarity, shingle=shingle)
        self.fewest_shingles = fewest_shingles
        self._names: list[str] = []
        self._signatures: list[bytes] = []
        # Which texts have a band. Most bands are of one text, for which a number takes less than a list.
        self._bands: dict[int, int | list[int]] = {}

    def __len__(self) -> int:
        return len(self._names)

    def add_unless_like(self, text: str, name: str) -> tuple[str, float] | None:
        """Adds a text, unless one is there that it is like.

        Returns:
            None where it was added; else the name of the most similar one that is there, and the similarity. Texts of
            fewer than 20 shingles are like none, and are not added.
        """
        signature = self._signature(text)
        if signature is None:
            return None
        keys = self._keys(signature)
        if like := self._most_similar(signature, keys):
            return like
        number = len(self._names)
        for key in keys:
            having = self._having(key)
            if len(having) > 1:
                having.append(number)
            else:
                self._bands[key] = [*having, number] if having else number
        self._names.append(name)
        self._signatures.append(signature.tobytes())
        return None

    def like(self, text: str) -> tuple[str, float] | None:
        """The name of the most similar text that is there, and the similarity; None where it is like none."""
        signature = self._signature(text)
        return None if signature is None else self._most_similar(signature, self._keys(signature))

    def _signature(self, text: str) -> np.ndarray | None:
        shingles = shingles_of(text, self.settings.shingle)
        return None if len(shingles) < self.fewest_shingles else minhash_signature(shingles, self.settings.hashes)

    def _keys(self, signature: np.ndarray) -> list[int]:
        # Bands whose hashes collide make candidates, which the whole signature then rejects.
        return [hash((band, part.tobytes())) for band, part in enumerate(np.split(signature, self.settings.bands))]

    def _having(self, key: int) -> list[int]:
        """The texts that have a band; of several the very list that is kept."""
        having = self._bands.get(key, [])
        return having if isinstance(having, list) else [having]

    def _most_similar(self, signature: np.ndarray, keys: list[int]) -> tuple[str, float] | None:
        candidates = sorted({number for key in keys for number in self._having(key)})
        if not candidates:
            return None
        whole = b"".join(self._signatures[number] for number in candidates)
        alike = (np.frombuffer(whole, np.uint32).reshape(len(candidates), -1) == signature).mean(axis=1)
        best = int(alike.argmax())
        similar = float(alike[best])
        return (self._names[candidates[best]], similar) if similar >= self.settings.similarity else None
