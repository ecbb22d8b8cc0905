"""What matches say, all together: win rates, ranking, biases of the judge; as numbers for machines and as text."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from ..errors import InputError
from ..japanese_font import columns_of
from .bradley_terry import PRIOR_LOGITS, ranking
from .judge_biases import judge_biases
from .matches import Match
from .verdicts import POINTS, VERDICTS
from .win_rates import Outcomes


def tournament_results(matches: Sequence[Match], seed: int = 0, resamples: int = 2_000) -> dict[str, Any]:
    """The content of `rakuda.json`.

    Args:
        matches: each comparison once.
        seed: of the resampling of questions.
        resamples: for win rates; the ranking takes a quarter.

    Raises:
        InputError: not one verdict can be read.
    """
    readable = [match for match in matches if match.verdict in POINTS]
    if not readable:
        raise InputError(
            f"none of {len(matches):,} reviews holds a verdict that can be read; does the judge follow its prompt?"
        )
    outcomes = Outcomes(matches, seed, resamples)
    plain = ranking(matches, False, seed, resamples // 4)
    has_lengths = all(match.has_answers for match in readable)
    at_length = ranking(matches, True, seed, resamples // 4) if has_lengths else None
    overall = outcomes.overall()
    models = {
        name: asdict(overall[name]) | {
            "score": asdict(plain.scores[name]),
            "score_at_equal_length": asdict(at_length.scores[name]) if at_length else None,
            "mean_characters": _mean_characters(readable, name) if has_lengths else None,
        }
        for name in plain.scores
    }  # fmt: skip
    pairs = [{"model": one, "opponent": other, **asdict(record)} for (one, other), record in outcomes.pairs().items()]
    return {
        "matches": len(matches),
        "verdicts": {verdict: sum(match.verdict == verdict for match in matches) for verdict in VERDICTS},
        "questions": len(outcomes.questions),
        "models": models,
        "pairs": pairs,
        "ranking": {
            "first_place": asdict(plain.first_place),
            "prior_logits": plain.prior_logits,
            "twice_as_long": asdict(at_length.length) if at_length and at_length.length else None,
            "length_prior_logits": at_length.prior_logits if at_length else None,
        },
        "biases": asdict(judge_biases(matches)),
        "judges": _counted(matches, "judge"),
        "prompts": _counted(matches, "prompt_digest"),
    }


def with_labels(matches: Sequence[Match], labels: dict[str, str]) -> list[Match]:
    """The matches with other names for models.

    Raises:
        InputError: a model that does not occur, or two models under one name.
    """
    names = {name for match in matches for name in (match.first, match.second)}
    if unknown := labels.keys() - names:
        raise InputError(f"labels: there is no model {min(unknown)!r}; there are {', '.join(sorted(names))}")
    if len({labels.get(name, name) for name in names}) < len(names):
        raise InputError("labels: two models would have one name")
    return [replace(match, first=labels.get(match.first, match.first), second=labels.get(match.second, match.second))
            for match in matches]  # fmt: skip


def results_text(results: dict[str, Any]) -> str:
    """The results for a terminal."""
    unreadable = results["verdicts"]["unreadable"]
    head = f"{results['matches']:,} comparisons of {len(results['models'])} models on {results['questions']} questions"
    lines = [head + (f"; {unreadable:,} without a readable verdict" if unreadable else ""), ""]
    lines += _lines_of_models(results["models"])
    if results["ranking"]["prior_logits"] is not None:
        lines.append(
            "The verdicts alone do not fix all scores (a model wins every time, or groups never met): a normal prior "
            f"of {PRIOR_LOGITS:g} logits keeps them finite, and the extreme ones are its doing."
        )
    return "\n".join([*lines, "", "the judge", *_lines_of_judge(results["biases"], results["ranking"])])


def _lines_of_models(models: dict[str, dict]) -> list[str]:
    width = max(map(columns_of, models)) + 2
    lines = [
        f"{'':{width}}{'win rate, a tie is half':>26}{'without ties':>14}{'score':>8}{'95%':>15}{'equal length':>14}"
    ]
    for name, row in models.items():
        without, score, equal = row["win_rate_without_ties"], row["score"], row["score_at_equal_length"]
        lines.append(
            f"{name}{' ' * (width - columns_of(name))}{_rate_text(row['win_rate']):>26}{_percent(without['value']):>14}"
            f"{score['value']:>8.0f}{_span(score['interval']):>15}" + (f"{equal['value']:>14.0f}" if equal else "")
        )
    return lines


def _lines_of_judge(biases: dict[str, dict], fit: dict[str, Any]) -> list[str]:
    place, twice, swap = fit["first_place"], fit["twice_as_long"], biases["swap_consistency"]
    lines = [
        f"  place    {_share_text(biases['first_place'])} of the points go to the answer that stands first; "
        f"that place is worth {place['value']:+.0f} points{_interval_text(place['interval'])}"
    ]
    if swap["of"]:
        to_first, to_second = (_percent(biases[f"swap_to_{which}"]["value"]) for which in ("first", "second"))
        lines.append(
            f"  swap     {_share_text(swap)} of {swap['of']} pairs get the same verdict in both orders; {to_first} go "
            f"to the first answer both times, {to_second} to the second"
        )
    else:
        lines.append("  swap     no pair was judged in both orders, so nothing is known of swaps")
    if biases["longer"]["of"]:
        lines.append(
            f"  length   {_share_text(biases['longer'])} of the decided comparisons go to the longer answer; the "
            f"winner is {biases['length_ratio']:.2f} times as long"
        )
    else:
        lines.append("  length   unknown: the matches do not hold answers of different lengths")
    if twice:
        lines.append(
            f"           an answer twice as long is worth {twice['value']:+.0f} points"
            f"{_interval_text(twice['interval'])}, which quality may share in; equal length takes them off"
        )
    return lines


def _counted(matches: Sequence[Match], name: str) -> dict[str, int]:
    return dict(Counter(str(match.provenance[name]) for match in matches if name in match.provenance))


def _mean_characters(matches: Sequence[Match], model: str) -> float:
    answers = {match.question_id: text for match in matches
               for name, text in ((match.first, match.first_answer), (match.second, match.second_answer))
               if name == model}  # fmt: skip
    return sum(map(len, answers.values())) / len(answers)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _rate_text(rate: dict) -> str:
    interval = rate["bootstrap"] or rate["wilson"]
    return f"{rate['value']:.1%} ({interval[0]:.1%}-{interval[1]:.1%})"


def _share_text(share: dict) -> str:
    return (
        ""
        if share["value"] is None
        else f"{share['value']:.1%} ({share['interval'][0]:.1%}-{share['interval'][1]:.1%})"
    )


def _span(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.0f}-{interval[1]:.0f}"


def _interval_text(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f" ({interval[0]:+.0f} to {interval[1]:+.0f})"
