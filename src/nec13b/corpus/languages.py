"""Which language a text is written in.

No other living language of weight is written in kana, so a text of which a tenth is kana is Japanese. For all others
py3langid decides, whose model of 140 languages comes inside the package.
"""

import re
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]+")
KANA_SHARE = 0.1
CHARACTERS = 300  # of each sample
SAMPLES = 3


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def identify_language(text: str) -> tuple[str, float]:
    """The language of a text and how sure that is.

    Samples from the beginning, the middle and the end decide, so that neither a foreign title nor a long text matters.

    Returns:
        (ISO 639 code such as `ja`, probability 0 to 1).
    """
    if len(text) > SAMPLES * CHARACTERS:
        step = (len(text) - CHARACTERS) // (SAMPLES - 1)
        text = "\n".join(text[start : start + CHARACTERS] for start in range(0, step * SAMPLES, step))
    if sum(map(len, KANA.findall(text))) >= KANA_SHARE * max(1, len(text)):
        return "ja", 1.0
    language, probability = _identifier().classify(text)
    return language, float(probability)
