"""What evaluation/rakuda_answers.py, rakuda_judge.py and rakuda_report.py would do."""

from ..corpus import Rejections
from ..dry_run import DryRun, DryRunInput, corpus_inputs, generator_inputs
from .judge_prompt import OWN_PROMPT
from .judging import forecast
from .questions import HUB_PREFIX, read_questions
from .rakuda_config import RakudaAnswersConfig, RakudaJudgeConfig, RakudaReportConfig


def answers_dry_run(config: RakudaAnswersConfig) -> DryRun:
    """Of evaluation/rakuda_answers.py."""
    questions = corpus_inputs("questions", config.questions)
    count = "each question"
    if is_here(questions):
        count = f"{len(read_questions(config.questions, Rejections())):,} questions"
    plan = (
        f"answers {count} in {config.answer_tokens:,} tokens at most, temperature {config.temperature:g}",
        f"calls the model {config.name or config.model}",
    )
    return DryRun((*questions, *generator_inputs(config)), plan, config.output_dir)


def judge_dry_run(config: RakudaJudgeConfig) -> DryRun:
    """Of evaluation/rakuda_judge.py: the comparisons and their price, once questions and answers are there."""
    texts = [*corpus_inputs("questions", config.questions),
             *corpus_inputs("answers", config.answers, "evaluation/rakuda_answers.py makes it")]  # fmt: skip
    if config.judge_prompt != OWN_PROMPT:
        texts += corpus_inputs("judge_prompt", config.judge_prompt)
    if config.is_replay:
        counted = "replays reviews that are recorded, and asks nobody"
    elif is_here(texts):
        expected, comparisons = forecast(config)
        counted = f"{comparisons:,} comparisons; of those left: {expected}"
    else:
        counted = "comparisons and their price are counted once questions and answers are there"
    orders = "both orders" if config.both_orders else "one order"
    against = f"each model with {config.baseline}" if config.baseline else "each model with each"
    plan = (
        f"compares {against}, in {orders}",
        counted,
        f"reviews of {config.review_tokens:,} tokens at most, temperature {config.temperature:g}; per million tokens "
        f"{config.prompt_price:g} for prompts, {config.completion_price:g} for reviews",
    )
    asked = corpus_inputs("model", config.model) if config.is_replay else generator_inputs(config)
    return DryRun((*texts, *asked), plan, config.output_dir)


def is_here(inputs: list[DryRunInput]) -> bool:
    """Whether all of them can be read without a network."""
    return not any(each.missing or each.place.startswith(HUB_PREFIX) for each in inputs)


def report_dry_run(config: RakudaReportConfig) -> DryRun:
    """Of evaluation/rakuda_report.py."""
    inputs = corpus_inputs("matches", config.matches, "evaluation/rakuda_judge.py makes it")
    inputs += corpus_inputs("answers", config.answers)
    inputs += corpus_inputs("questions", config.questions) if config.questions else []
    plan = (
        f"win rates with intervals over {config.resamples:,} resamples{', pages to read in' if config.pages else ''}",
    )
    return DryRun(tuple(inputs), plan, config.output_dir, "rakuda.json, win_rates.png, rakuda.html")
