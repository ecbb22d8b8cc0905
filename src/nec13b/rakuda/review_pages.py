"""Pages to read in: the results, and for each question all answers side by side with what the judge said of them."""

import base64
import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import html_page
from .matches import Match
from .verdicts import FIRST, POINTS, SECOND, TIE, swapped

RESULT_TEMPLATE, QUESTION_TEMPLATE = "rakuda_page.html.j2", "question_page.html.j2"
PAGE_NAME, QUESTIONS_NAME = "rakuda.html", "questions"


def write_pages(
    folder: Path, results: dict[str, Any], matches: Sequence[Match], figure: Path, categories: dict[str, str]
) -> Path:
    """Writes `rakuda.html` and a page for each question below `questions/`.

    Args:
        folder: where to.
        results: of `tournament_results`.
        matches: whose results they are.
        figure: the picture of win rates, which becomes a part of the page.
        categories: of questions, by id, in the order of the questions, as far as they are known.

    Returns:
        The path of `rakuda.html`.
    """
    models = list(results["models"])
    pages = [_question(question, list(found), models, categories) for question, found in _by_question(matches)]
    order = {question: place for place, question in enumerate(categories)}
    pages.sort(key=lambda page: order.get(page["id"], len(order)))
    shutil.rmtree(folder / QUESTIONS_NAME, ignore_errors=True)
    (folder / QUESTIONS_NAME).mkdir(parents=True)
    for number, page in enumerate(pages, start=1):
        page["number"], page["file"] = number, f"{QUESTIONS_NAME}/{number:03d}.html"
    for page in pages:
        values = {"page": page, "of": len(pages), "result_page": PAGE_NAME}
        html_page.write_page(folder / page["file"], Path(__file__).with_name(QUESTION_TEMPLATE), values)
    picture = base64.b64encode(figure.read_bytes()).decode()
    values = {"results": results, "pages": pages, "picture": picture}
    html_page.write_page(
        folder / PAGE_NAME, Path(__file__).with_name(RESULT_TEMPLATE), values, share=_share, span=_span
    )
    return folder / PAGE_NAME


def _by_question(matches: Sequence[Match]):
    order = {match.question_id: None for match in reversed(matches)}
    places = {question: place for place, question in enumerate(reversed(order))}
    return itertools.groupby(sorted(matches, key=lambda m: places[m.question_id]), key=lambda m: m.question_id)


def _question(question: str, matches: list[Match], models: list[str], categories: dict[str, str]) -> dict[str, Any]:
    """What the page of a question shows: its pairs, those first in which a swap changed the verdict."""
    found: dict[tuple[str, str], list[Match]] = {}
    for match in matches:
        pair = sorted(
            (match.first, match.second), key=lambda name: models.index(name) if name in models else len(models)
        )
        found.setdefault((pair[0], pair[1]), []).append(match)
    pairs = [_pair(one, other, of_pair) for (one, other), of_pair in found.items()]
    rank = {name: place for place, name in enumerate(models)}
    pairs.sort(key=lambda pair: (not pair["swayed"], rank.get(pair["one"], 0), rank.get(pair["other"], 0)))
    return {
        "id": question,
        "question": next((match.question for match in matches if match.question), ""),
        "category": categories.get(question, ""),
        "pairs": pairs,
        "reviews": len(matches),
        "swayed": sum(pair["swayed"] for pair in pairs),
        "unreadable": sum(match.verdict not in POINTS for match in matches),
    }


def _pair(one: str, other: str, matches: list[Match]) -> dict[str, Any]:
    """One pair of models: both answers, and each review with its verdict in the models' names."""
    texts = {}
    for match in matches:
        texts |= {match.first: match.first_answer, match.second: match.second_answer}
    reviews = [
        {"first": match.first, "winner": {FIRST: match.first, SECOND: match.second, TIE: "tie"}.get(match.verdict, ""),
         "text": match.review, "judge": match.provenance.get("judge", "")}
        for match in matches
    ]  # fmt: skip
    from_one = [match.verdict if match.first == one else swapped(match.verdict) for match in matches]
    return {"one": one, "other": other, "answers": [texts[one], texts[other]], "reviews": reviews,
            "known": any(match.has_answers for match in matches), "swayed": len(set(from_one)) > 1}  # fmt: skip


def _share(rate: dict[str, Any]) -> str:
    return "" if rate["value"] is None else f"{rate['value']:.1%}"


def _span(interval: Sequence[float] | None, unit: str = "share") -> str:
    if interval is None:
        return ""
    low, high = interval
    return f"{low:.1%} to {high:.1%}" if unit == "share" else f"{low:.0f} to {high:.0f}"
