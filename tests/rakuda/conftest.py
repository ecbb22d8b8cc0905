"""Questions, answers and matches to judge and to count."""

import json
import random

import pytest

from nec13b.rakuda.matches import Match


@pytest.fixture
def forty_questions(tmp_path):
    """Files of 40 questions and of two models' answers to them: 80 comparisons in both orders."""
    questions, answers = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    ids = [f"q{number}" for number in range(40)]
    rows = [{"question_id": name, "category": "地理", "turns": [f"{name}番の川はどこを流れますか。"]} for name in ids]
    questions.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    rows = [
        {"question_id": name, "model_id": model, "text": f"{model}の{name}への答えです。" * repeats}
        for model, repeats in (("長い", 3), ("短い", 1)) for name in ids
    ]  # fmt: skip
    answers.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return {"questions": str(questions), "answers": [str(answers)]}


@pytest.fixture
def tournament():
    """Makes matches between models of given strengths, in logits, with an effect of the first place."""

    def make(strengths: dict[str, float], questions: int = 40, first_place: float = 0.0, seed: int = 0) -> list[Match]:
        chance, found = random.Random(seed), []
        for number in range(questions):
            for first in strengths:
                for second in strengths:
                    if first != second:
                        odds = 2.718281828 ** (first_place + strengths[first] - strengths[second])
                        draw = chance.random()
                        verdict = "tie" if draw < 0.1 else "first" if chance.random() < odds / (1 + odds) else "second"
                        answers = ("あ" * chance.randint(1, 90), "い" * chance.randint(1, 90))
                        found.append(Match(f"q{number}", first, second, verdict, "", "問い", *answers))
        return found

    return make
