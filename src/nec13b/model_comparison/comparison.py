"""Models side by side: what `evaluation/side_by_side.py` does.

<output_dir>/answers.jsonl     an answer a line: question_id, category, language, wanted, prompt, model, checkpoint,
                               answer, ended, tokens
<output_dir>/pair_scores.jsonl the log-probabilities of both answers of a held-out pair a line, by model
<output_dir>/verdicts.jsonl    what the judge said of an answer, where there is one
"""

import gc
from pathlib import Path

import torch

from ..chat.chat_model import ChatModel, load_chat_model
from ..chat.settings import parse_chat_settings
from ..chat_tuning.answers import answers
from ..checkpoint_fingerprint import fingerprint_of_checkpoint
from ..corpus import Rejections
from ..generation.endpoint_generator import EndpointGenerator
from ..generation.work import run_all
from ..preferences.preference import Preference
from ..preferences.prepared_preferences import prepared_preferences
from ..run_record import RunRecord, alone_in, claim_made_dir, digest_of_value, write_json
from .answer_judge import Judged, judged_answers
from .comparison_config import SideBySideConfig
from .comparison_page import write_comparison_page
from .comparison_prompts import ComparisonPrompt, read_comparison_prompts
from .comparison_report import comparison_report, report_lines
from .pair_scores import pair_scores
from .row_journal import RowJournal

ANSWERS_NAME, SCORES_NAME, VERDICTS_NAME = JOURNALS = ("answers.jsonl", "pair_scores.jsonl", "verdicts.jsonl")
REPORT_NAME, PAGE_NAME, REJECTED_NAME = "report.json", "report.html", "rejected.jsonl"
DECISIVE_SETTINGS = ("max_new_tokens", "temperature", "top_p", "seed", "max_length", "dtype")
PAIRS_AT_ONCE = 64  # between two writes of the journal


def compare_side_by_side(config: SideBySideConfig) -> dict:
    """Answers, scores, judges, reports; goes on where an interrupted comparison was. Returns the report.

    Raises:
        InputError: a checkpoint, the prompts or the pairs cannot be read, or the folder holds another comparison.
    """
    config.check_preference_settings()
    output = Path(config.output_dir)
    prompts, pairs = read_comparison_prompts(config.prompts, Rejections()), held_out_pairs(config)
    request = {
        "models": {label: [path, fingerprint_of_checkpoint(path)] for label, path in config.checkpoints().items()},
        "prompts": digest_of_value([prompt.__dict__ for prompt in prompts]),
        "pairs": digest_of_value([pair.key for pair in pairs]),
        "settings": {name: getattr(config, name) for name in DECISIVE_SETTINGS},
    }
    claim = claim_made_dir(output, request, config.overwrite_output_dir)
    with alone_in(output):
        if claim:
            for name in JOURNALS:
                (output / name).unlink(missing_ok=True)
            write_json(*claim)  # the journals tell how far it has come
        return _compare(config, output, prompts, pairs, request)


def _compare(
    config: SideBySideConfig, output: Path, prompts: list[ComparisonPrompt], pairs: list[Preference], request: dict
) -> dict:
    record, rejections = RunRecord("side_by_side", config, config.seed), Rejections(output / REJECTED_NAME)
    read_comparison_prompts(config.prompts, rejections)  # once more, to write down what was set aside
    if rejections.counts:
        print(f"prompts set aside: {rejections}; see {rejections.path}")
    checkpoints = config.checkpoints()
    print(f"{len(prompts):,} prompts, {len(pairs):,} held-out pairs, {len(checkpoints)} models", flush=True)
    journal = RowJournal(output / ANSWERS_NAME, ("model", "question_id"))
    scores = RowJournal(output / SCORES_NAME, ("model", "pair"))
    for label, path in checkpoints.items():
        ask(config, label, path, prompts, pairs, journal, scores)
    opinions = RowJournal(output / VERDICTS_NAME, ("judge", "model", "question_id"))
    verdicts = judge(config, prompts, journal, opinions)
    for each in (journal, scores, opinions):
        each.close()
    report = comparison_report(checkpoints, prompts, pairs, journal.rows, scores.rows, verdicts)
    print(*report_lines(report), sep="\n")
    write_json(output / REPORT_NAME, report)
    write_comparison_page(output / PAGE_NAME, report, prompts, journal.rows, verdicts, config)
    record.update("inputs", **{key: request[key] for key in ("models", "prompts", "pairs")})
    record.update("counts", prompts=len(prompts), pairs=len(pairs), set_aside=dict(rejections.counts))
    record.update("metrics", **{key: report[key] for key in ("answers", "preferences", "difference")})
    record.write(output)
    print(f"\n{output / PAGE_NAME}   side by side\n{output / REPORT_NAME}   the numbers\n{output / ANSWERS_NAME}")
    return report


def held_out_pairs(config: SideBySideConfig) -> list[Preference]:
    """The held-out preferences: those that an alignment with the same settings has not learned from."""
    if not config.pairs:
        return []
    return prepared_preferences(config).held_out[: config.pairs]


def ask(
    config: SideBySideConfig, label: str, path: str, prompts: list[ComparisonPrompt], pairs: list[Preference],
    journal: RowJournal, scores: RowJournal,
) -> None:  # fmt: skip
    """Has a model answer and score what it has not yet; it is in memory only meanwhile."""
    unanswered = any((label, prompt.id) not in journal.rows for prompt in prompts)
    if not unanswered and all((label, pair.id) in scores.rows for pair in pairs):
        return
    print(f"asking {path} ({label}) ...", flush=True)
    flags = ["--dtype", config.dtype, *(["--trust_remote_code"] if config.trust_remote_code else [])]
    chat = load_chat_model(parse_chat_settings([path, *flags]))
    write_answers(config, label, path, chat, prompts, journal)
    write_scores(config, label, chat, pairs, scores)
    del chat
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def write_answers(
    config: SideBySideConfig, label: str, path: str, chat: ChatModel, prompts: list[ComparisonPrompt],
    journal: RowJournal,
) -> None:  # fmt: skip
    """The answers that are missing, batch by batch; a batch is the same and has the same seed however often it runs."""
    for first in range(0, len(prompts), config.batch_size):
        batch = prompts[first : first + config.batch_size]
        missing = [(label, prompt.id) not in journal.rows for prompt in batch]
        if not any(missing):
            continue
        found = answers(
            chat.model, chat.tokenizer, [prompt.messages for prompt in batch], config.max_new_tokens,
            config.seed + first, config.temperature, config.top_p, config.batch_size,
        )  # fmt: skip
        journal.add([
            {"question_id": prompt.id, "category": prompt.category, "language": prompt.language,
             "wanted": prompt.wanted, "prompt": prompt.messages, "model": label, "checkpoint": path,
             "answer": answer.text, "ended": answer.ended, "tokens": answer.tokens}
            for prompt, answer, wanted in zip(batch, found, missing) if wanted
        ])  # fmt: skip


def write_scores(
    config: SideBySideConfig, label: str, chat: ChatModel, pairs: list[Preference], scores: RowJournal
) -> None:
    """The scores that are missing; a pair that is too long for the model has none."""
    missing = [pair for pair in pairs if (label, pair.id) not in scores.rows]
    for first in range(0, len(missing), PAIRS_AT_ONCE):
        some = missing[first : first + PAIRS_AT_ONCE]
        found = pair_scores(chat.model, chat.tokenizer, some, min(config.max_length, chat.window), config.batch_size)
        scores.add([
            {"pair": pair.id, "model": label, "score": score and score.__dict__} for pair, score in zip(some, found)
        ])  # fmt: skip


def judge(
    config: SideBySideConfig, prompts: list[ComparisonPrompt], journal: RowJournal, verdicts: RowJournal
) -> dict[tuple, dict]:
    """What the judge of the settings says, by (model, prompt id); nothing where there is none.

    It looks at the answers that it has not seen; what it failed at before is tried again.
    """
    if not config.judge_model:
        return {}
    by_id, name = {prompt.id: prompt for prompt in prompts}, config.judge_model
    rows = [
        row for key, row in journal.rows.items()
        if by_id[row["question_id"]].wanted and not verdicts.rows.get((name, *key), {}).get("verdict")
    ]  # fmt: skip

    def done(number: int, judged: Judged) -> None:
        row = rows[number]
        verdicts.add([{"judge": name, "model": row["model"], "question_id": row["question_id"], **judged.to_row()}])

    if rows:
        print(f"{name} judges {len(rows):,} answers ...", flush=True)
        cases = [(by_id[row["question_id"]], row["answer"]) for row in rows]
        run_all(judged_answers(EndpointGenerator(config.judge()), cases, config.judge_concurrency, done))
    found = {key[1:]: row for key, row in verdicts.rows.items() if key[0] == name}
    if failed := sum(not row["verdict"] for row in found.values()):
        print(f"{failed:,} answers have no verdict; the same command asks for them again")
    return found
