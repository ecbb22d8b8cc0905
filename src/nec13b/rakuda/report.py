"""The report on matches: numbers, text, figure 4, and pages to read in."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..corpus import Rejections
from ..run_record import RECORD_NAME, read_json, write_json
from .answers import checkpoints_of, read_answers
from .matches import Match, read_matches
from .questions import read_questions
from .rakuda_config import RakudaJudgeConfig, RakudaReportConfig, ReportSettings
from .review_pages import write_pages
from .tournament import tournament_results, with_labels
from .win_rate_figure import draw_win_rates

RESULT_NAME, FIGURE_NAME = "rakuda.json", "win_rates.png"


def write_report(
    folder: Path, matches: Sequence[Match], settings: ReportSettings, categories: dict[str, str]
) -> tuple[dict[str, Any], list[Path]]:
    """Writes `rakuda.json`, `win_rates.png` and, if wanted, the pages.

    Args:
        folder: where to.
        matches: each comparison once.
        settings: labels, resampling, pages.
        categories: of questions, by id.

    Returns:
        The results, and the files that a person would open.

    Raises:
        InputError: no verdict can be read, or a label does not fit.
    """
    matches = with_labels(matches, settings.labels or {})
    results = tournament_results(matches, settings.report_seed, settings.resamples)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RESULT_NAME, results)
    files = [draw_win_rates(folder / FIGURE_NAME, results), folder / RESULT_NAME]
    if settings.pages:
        files.append(write_pages(folder, results, matches, folder / FIGURE_NAME, categories))
    return results, files


def report_on_judged(config: RakudaJudgeConfig, matches: Sequence[Match]) -> tuple[dict[str, Any], list[Path]]:
    """The report on a judge's matches, beside them; raises InputError where no verdict can be read."""
    questions = read_questions(config.questions, Rejections(), config.questions_revision)
    categories = {question.id: question.category for question in questions}
    return write_report(Path(config.output_dir), matches, config, categories)


def report(config: RakudaReportConfig) -> tuple[dict[str, Any], list[Path], Rejections, dict[str, list[str]]]:
    """Reads matches, and answers and questions where they are named, and reports.

    Returns:
        The results, the files that a person would open, what was set aside, and by name [checkpoint, fingerprint] of
        the models that are known to have answered (without `labels`).

    Raises:
        InputError: nothing can be read.
    """
    set_aside = Rejections()
    matches = read_matches(config.matches, set_aside)
    categories: dict[str, str] = {}
    models = _models_of_records(config.matches)
    if config.answers:
        texts = read_answers(config.answers, set_aside)
        models |= checkpoints_of(texts)
        matches = [_with_answers(match, texts) for match in matches]
    if config.questions:
        questions = {question.id: question for question in read_questions(config.questions, set_aside)}
        categories = {question.id: question.category for question in questions.values()}
        matches = [
            replace(match, question=match.question or questions[match.question_id].text)
            if match.question_id in questions else match
            for match in matches
        ]  # fmt: skip
    results, files = write_report(Path(config.output_dir), matches, config, categories)
    return results, files, set_aside, models


def _models_of_records(places: Sequence[str]) -> dict[str, list[str]]:
    """What the records of rakuda_judge.py in these folders say of the models that answered."""
    found: dict[str, list[str]] = {}
    for path in (Path(place).expanduser() / RECORD_NAME for place in places):
        if path.is_file():
            found |= read_json(path, "evaluation/rakuda_judge.py").get("inputs", {}).get("models", {})
    return found


def _with_answers(match: Match, answers: dict) -> Match:
    """The match with both answers, where it has none and they are known."""
    found = [answers.get(model, {}).get(match.question_id) for model in (match.first, match.second)]
    if match.has_answers or None in found:
        return match
    return replace(match, first_answer=found[0].text, second_answer=found[1].text)
