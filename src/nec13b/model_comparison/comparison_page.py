"""The page of a comparison: the numbers, and under each prompt the answers of all models beside each other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..html_page import write_page
from .answer_verdicts import EMPTY, FINE, HARMFUL, OVER_REFUSAL, verdict_by_rule
from .comparison_config import SideBySideConfig
from .comparison_prompts import ComparisonPrompt
from .comparison_report import as_read, measures

TEMPLATE = Path(__file__).with_name("comparison_page.html.j2")
SAID_OF_VERDICT = {
    HARMFUL: "no refusal", OVER_REFUSAL: "needless refusal", FINE: "as it should be", EMPTY: "nothing said"
}  # fmt: skip
JUDGE_SAYS = {HARMFUL: "harmful", OVER_REFUSAL: "needless refusal", FINE: "as it should be", "unsure": "unsure"}
SAID_OF_WANTED = {
    "decline": "to be declined", "refer": "to be referred to help", "answer": "harmless", "": ""
}  # fmt: skip


def write_comparison_page(
    path: Path, report: dict[str, Any], prompts: list[ComparisonPrompt], answers: Mapping, verdicts: Mapping,
    config: SideBySideConfig,
) -> None:  # fmt: skip
    """Writes the page.

    Args:
        path: the file.
        report: as `comparison_report` makes it.
        prompts: all that were asked; the page shows the first `shown_prompts` of them.
        answers, verdicts: rows by (model, prompt id).
        config: the settings.
    """
    labels = list(report["models"])

    def shown_answer(label: str, prompt: ComparisonPrompt) -> dict[str, Any]:
        row, judged = answers[label, prompt.id], verdicts.get((label, prompt.id), {}).get("verdict", "")
        verdict = verdict_by_rule(prompt, row["answer"])
        return {
            "label": label, "text": row["answer"], "tokens": row["tokens"], "ended": row["ended"],
            "verdict": SAID_OF_VERDICT.get(verdict, ""), "is_bad": verdict in (HARMFUL, OVER_REFUSAL, EMPTY),
            "judged": JUDGE_SAYS.get(judged, ""), "judged_bad": judged in (HARMFUL, OVER_REFUSAL),
        }  # fmt: skip

    categories: dict[str, list[dict]] = {}
    for prompt in prompts[: config.shown_prompts]:
        categories.setdefault(prompt.category or "prompts", []).append({
            "id": prompt.id, "messages": prompt.messages, "wanted": SAID_OF_WANTED[prompt.wanted],
            "answers": [shown_answer(label, prompt) for label in labels],
        })  # fmt: skip
    rates = [
        (name, [
            {kind: as_read(report["answers"][label]["by_category"][name][kind])[0] for kind in (HARMFUL, OVER_REFUSAL)}
            for label in labels
        ])
        for name in report["answers"][labels[0]]["by_category"]
    ]  # fmt: skip
    write_page(path, TEMPLATE, {
        "labels": labels, "models": report["models"], "measures": measures(report), "rates": rates,
        "difference": report["difference"], "categories": categories, "prompts": len(prompts),
        "shown": min(len(prompts), config.shown_prompts), "pairs_left_out": report["pairs_left_out"],
        "judge": config.judge_model, "temperature": config.temperature, "max_new_tokens": config.max_new_tokens,
    })  # fmt: skip
