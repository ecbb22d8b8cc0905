"""When is an answer to JSQuAD right? Four rules of others and ours, all on one and the same generated text.

- `exact_match`, ours: equal to any of the right answers, after Unicode form KC and trimming.
- `exact_match_first`: equal to the first right answer, after trimming (lm-eval's ja_leaderboard_jsquad).
- `exact_match_jp_line`: equal to any, after jp-stable's normalisation. It is what jp-stable's backend
  hf-causal-experimental counts, with which the Llama 2 models were measured: that backend ignores the limit of tokens.
- `exact_match_jp`: the same after the answer is cut to as many tokens as the longest right answer has, so that it
  cannot fail by going on. It is what the backend hf-causal counts.
- `f1`: characters in common with the best of the right answers, spaces aside.

What jp-stable does: Stability-AI/lm-evaluation-harness, branch jp-stable, lm_eval/tasks/ja/jsquad.py (stop at the first
newline, limit of tokens), lm_eval/jasquad/evaluate.py (normalisation), lm_eval/base.py and models/huggingface.py
(the two backends).
"""

import functools
import importlib
import unicodedata
from collections import Counter

from ..errors import InputError

# Ranges that jp-stable removes as emoji beside what the package emoji knows: signs that are text by themselves, too.
EMOJI = ((0x1F600, 0x1F64F), (0x1F300, 0x1F5FF), (0x1F680, 0x1F6FF), (0x1F1E0, 0x1F1FF), (0x2702, 0x27B0))


def first_line(text: str) -> str:
    """An answer ends at the first newline: jp-stable's stop sequence."""
    return text.split("\n", 1)[0]


def scores_of_answer(doc: dict, results: list[str]) -> dict[str, float]:
    """The scores that need no tokenizer, as an lm-eval task takes them (`process_results`).

    Args:
        doc: a question with its `answers`.
        results: the generated text, alone in a list.
    """
    answer, right = first_line(results[0]), doc["answers"]
    return {
        "exact_match": float(_plain(answer) in map(_plain, right)),
        "exact_match_first": float(answer.strip() == right[0].strip()),
        "exact_match_jp_line": float(matches_jp(answer, right)),
        "f1": max(character_f1(answer, text) for text in right),
    }


def matches_jp(answer: str, right: list[str]) -> bool:
    """Whether an answer is one of the right ones after jp-stable's normalisation."""
    return normalised_jp(answer) in map(normalised_jp, right)


def cut_to_longest(answer: str, right: list[str], tokenizer, before: str = "\n") -> str:
    """An answer cut to as many tokens as the longest right answer has.

    Args:
        answer: as generated, up to the first newline.
        right: the right answers.
        tokenizer: of the model; `encode` and `decode`.
        before: the line of the prompt that the answer stands behind: tokens at the beginning of a text may be others
            (LLaMA's tokenizer puts a space there), and those were not generated.
    """
    limit = max(len(tokenizer.encode(text, add_special_tokens=False)) for text in right)
    ids = tokenizer.encode(before, add_special_tokens=False)
    whole = tokenizer.encode(before + answer, add_special_tokens=False)
    if whole[: len(ids)] != ids:  # the answer's first character belongs to a token of the prompt's last
        ids, whole, before = [], tokenizer.encode(answer, add_special_tokens=False), ""
    if len(whole) - len(ids) <= limit:
        return answer
    start = tokenizer.decode(ids, skip_special_tokens=True)
    cut = tokenizer.decode(whole[: len(ids) + limit], skip_special_tokens=True)
    return cut.removeprefix(start)


@functools.lru_cache(maxsize=100_000)
def normalised_jp(text: str) -> str:
    """jp-stable's normalisation: without emoji, by neologdn, spaces as one.

    Raises:
        InputError: neologdn or emoji is not installed.
    """
    emoji, neologdn = (_package(name) for name in ("emoji", "neologdn"))
    kept = "".join(c for c in text if not emoji.is_emoji(c) and not any(a <= ord(c) <= b for a, b in EMOJI))
    return " ".join(neologdn.normalize(kept).split())


def character_f1(answer: str, right: str) -> float:
    """Harmonic mean of the shares of characters that both have, each counted as often as it occurs."""
    ours, theirs = ("".join(_plain(text).split()) for text in (answer, right))
    common = (Counter(ours) & Counter(theirs)).total()
    return 2 * common / (len(ours) + len(theirs)) if common else float(ours == theirs)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()


def _package(name: str):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise InputError(f"jp-stable's normalisation needs the package {name}: pip install 'nec13b[eval]'") from None
