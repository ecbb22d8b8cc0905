"""The learned filter: how likely a text is clean, by a fastText classifier over n-grams of characters.

A text becomes a row of tokens: its characters, with words in Latin letters and numbers masked so that a subject does
not decide, marks of its layout (how long each line is, where it ends, what was said before), and marks of its shape as
a whole (how many lines end without punctuation, how long they are, how much is hiragana). fastText (Joulin et al.,
2017) averages the vectors of these tokens and their n-grams. No word segmenter is needed. The text is seen through up
to three windows, so that its length does not decide either.
"""

import os
import re
from functools import cached_property
from pathlib import Path

from ..errors import InputError
from ..run_record import fingerprint_of_file, read_json, write_json

FORMAT = "nec13b-quality-1"
CARD_NAME, MODEL_NAME = "quality.json", "model.bin"
MADE_BY = "recipes/train_quality_classifier.py"
CLEAN, DIRTY = "clean", "dirty"
LABEL = "__label__"
WINDOW, WINDOWS = 600, 3  # characters, number
LATIN = re.compile(r"[A-Za-z]+")
NUMBER = re.compile(r"[0-9]+")
WORD_OR_SIGN = re.compile(r"[a-z]+|[^\sa-z]")
PHRASE = re.compile(r"[^、。！？,.!?\n]{6,}")
SENTENCE_ENDS = "。．.!?！？…」』）)"
STOP = re.compile("[。．.!?！？]")
HIRAGANA = re.compile("[ぁ-ゖ]+")
# Among hundreds of characters one mark of the whole window would be lost in the average, so it is said this often.
SHAPE_REPEATS = 15


def windows_of(text: str) -> list[str]:
    """Up to three stretches of 600 characters: the beginning, the middle, the end."""
    if len(text) <= WINDOW:
        return [text]
    count = min(WINDOWS, -(-len(text) // WINDOW))
    last = len(text) - WINDOW
    return [text[round(last * i / (count - 1)) :][:WINDOW] for i in range(count)]


def tokens_of(text: str, keep_words: bool = False) -> str:
    """The tokens of one window, with spaces between them, as fastText reads them.

    Args:
        text: the window.
        keep_words: whether words in Latin letters are tokens (for English) or all the same one (for Japanese).
    """
    tokens: list[str] = []
    seen: set[str] = set()
    for line in text.split("\n"):
        line = line.strip()
        if not line:
            tokens.append("<empty>")
            continue
        tokens.append(f"<long{min(7, len(line).bit_length())}>")
        masked = NUMBER.sub("0", line)
        if keep_words:
            tokens += WORD_OR_SIGN.findall(masked.lower())
        else:
            tokens += "".join(LATIN.sub("a", masked).split())
        for phrase in PHRASE.findall(line):
            if phrase in seen:
                tokens.append("<again>")
            seen.add(phrase)
        tokens.append("<end>")
    return " ".join(tokens + shape_of(text) * SHAPE_REPEATS)


def shape_of(text: str) -> list[str]:
    """What a window looks like as a whole, each mark a step on a rough scale; nothing for an empty one."""
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    if not lines:
        return []
    size = sum(map(len, lines))
    open_lines = round(4 * sum(line[-1] not in SENTENCE_ENDS for line in lines) / len(lines))
    stops = min(4, int(80 * len(STOP.findall(text)) / size))
    hiragana = min(5, int(10 * (len(text) - len(HIRAGANA.sub("", text))) / size))
    length = (size // len(lines)).bit_length()
    return [
        f"<open{open_lines}>", f"<stops{stops}>", f"<hiragana{hiragana}>", f"<line{length}>",
        f"<open{open_lines}stops{stops}>",
    ]  # fmt: skip


class QualityClassifier:
    """A trained classifier in its folder.

    Attributes:
        folder: where it lies.
        card: the content of `quality.json`.
        threshold: texts whose probability of being clean lies below it are rejected.
    """

    def __init__(self, folder: Path, card: dict, threshold: float | None = None):
        self.folder, self.card = folder, card
        self.threshold = card["threshold"] if threshold is None else threshold

    @classmethod
    def open(cls, folder: str | os.PathLike, threshold: float | None = None) -> "QualityClassifier":
        """Opens a classifier and checks that it is one; the model itself is loaded when it is first asked.

        Args:
            folder: what recipes/train_quality_classifier.py wrote.
            threshold: instead of the one in the card.

        Raises:
            InputError: the folder is missing, holds something else, or the model is not the one of the card.
        """
        folder = Path(folder)
        card = read_json(folder / CARD_NAME, MADE_BY)
        if card.get("format") != FORMAT or not {"threshold", "model", "domain", "keep_words"} <= set(card):
            raise InputError(f"{folder / CARD_NAME} is not of a quality classifier; {MADE_BY} makes one")
        model = folder / MODEL_NAME
        if not model.is_file():
            raise InputError(f"{model} does not exist; make the classifier again with {MADE_BY}")
        if fingerprint_of_file(model) != card["model"]:
            raise InputError(f"{model} is not the model that {CARD_NAME} describes; make it again with {MADE_BY}")
        return cls(folder.absolute(), card, threshold)

    @property
    def fingerprint(self) -> str:
        return self.card["model"]

    def __getstate__(self) -> dict:  # fastText's model cannot be pickled; it is loaded anew
        return {name: value for name, value in self.__dict__.items() if name != "_model"}

    def __deepcopy__(self, memo) -> "QualityClassifier":
        return self  # nothing in it changes

    @cached_property
    def _model(self):
        return load_fasttext(self.folder / MODEL_NAME)

    def clean_probability(self, text: str) -> float:
        """How likely the text is clean, 0 to 1: the mean over its windows."""
        windows = [tokens_of(window, self.card["keep_words"]) for window in windows_of(text)]
        all_labels, all_probabilities = self._model.predict(windows, k=2)
        total = 0.0
        for labels, probabilities in zip(all_labels, all_probabilities):
            total += dict(zip(labels, map(float, probabilities))).get(LABEL + CLEAN, 0.0)
        return min(1.0, total / len(windows))  # fastText's sums exceed 1 by a hair


def load_fasttext(path: Path):
    """A fastText classifier with the labels clean and dirty.

    Raises:
        InputError: the file is no fastText model, or one of another kind.
    """
    import fasttext

    fasttext.FastText.eprint = lambda *message: None  # a warning about a change of 2019
    try:
        model = fasttext.load_model(str(path))
        labels = set(model.get_labels())
    except (ValueError, RuntimeError, MemoryError) as error:
        raise InputError(f"{path} is not a fastText classifier ({error})") from None
    if labels != {LABEL + CLEAN, LABEL + DIRTY}:
        raise InputError(f"{path} tells {', '.join(sorted(labels)[:5])} apart, not clean and dirty text")
    return model


def write_card(folder: Path, card: dict) -> None:
    """Writes `quality.json` with the fingerprint of the model beside it; only now is the folder a classifier."""
    write_json(folder / CARD_NAME, {"format": FORMAT, **card, "model": fingerprint_of_file(folder / MODEL_NAME)})
