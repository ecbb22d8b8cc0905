"""Through lm-eval itself: who knows the answers gets all, who guesses gets a fifth."""

import gzip
import json
import random
import unicodedata

import pytest

RULES = {"exact_match", "exact_match_first", "exact_match_jp_line", "f1"}


def test_who_knows_the_answers_gets_all(knowing, scores_of, tiny_checkpoint):
    found = scores_of(knowing(lambda doc: doc["answers"][0]), "nec13b_jsquad", tokenizer=str(tiny_checkpoint))
    assert {name: found[name] for name in (*RULES, "exact_match_jp")} == dict.fromkeys((*RULES, "exact_match_jp"), 1.0)
    assert found["exact_match_stderr"] == 0
    found = scores_of(knowing(lambda doc: doc["label"]), "nec13b_jcqa")
    assert (found["acc"], found["acc_norm"]) == (1.0, 1.0)


def test_without_a_tokenizer_the_rule_that_needs_one_is_left_out(knowing, scores_of):
    found = scores_of(knowing(lambda doc: doc["answers"][0]), "nec13b_jsquad")
    assert "exact_match_jp" not in found
    assert found["exact_match"] == 1


def test_an_answer_that_goes_on_is_right_by_jp_stable_alone(knowing, scores_of, tiny_checkpoint):
    model = knowing(lambda doc: max(doc["answers"], key=len) + "。そのほかのことは書かれていない。\n\n### 指示:")
    found = scores_of(model, "nec13b_jsquad", tokenizer=str(tiny_checkpoint))
    assert found["exact_match"] == found["exact_match_jp_line"] == 0
    assert found["exact_match_jp"] > 0.5  # where a token ends at the answer's end


@pytest.mark.parametrize("name", ["nec13b_jsquad_0_2", "nec13b_jsquad_0_6", "nec13b_jcqa_0_2", "nec13b_jcqa_0_6"])
def test_other_prompts_are_scored_alike(knowing, scores_of, name):
    model = knowing(lambda doc: doc["answers"][0] if "answers" in doc else doc["label"])
    found = scores_of(model, name)
    assert found["exact_match" if "jsquad" in name else "acc"] == 1


def test_real_questions_all_known(knowing, scores_of, data):
    found = scores_of(knowing(lambda doc: doc["answers"][0]), "nec13b_jsquad", data / "jglue", shots=0)
    assert {name: found[name] for name in RULES} == dict.fromkeys(RULES, 1.0)


@pytest.fixture(scope="module")
def right_answers(data):
    """The right answers of JSQuAD's 4,442 validation questions, by id, out of the file itself."""
    with gzip.open(data / "jglue" / "jsquad-v1.3-valid.json.gz", "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    return {
        entry["id"]: [answer["text"] for answer in entry["answers"]]
        for article in articles for paragraph in article["paragraphs"] for entry in paragraph["qas"]
    }  # fmt: skip


def test_the_last_right_answer_gets_what_follows_from_the_data(knowing, scores_of, data, right_answers):
    """By ours it is as right as any; by upstream's rule only where it is the first, too; F1 takes the best."""
    found = scores_of(knowing(lambda doc: doc["answers"][-1]), "nec13b_jsquad", data / "jglue", shots=0)
    same = sum(texts[-1] == texts[0] for texts in right_answers.values())
    assert found["exact_match"] == found["exact_match_jp_line"] == found["f1"] == 1
    assert found["exact_match_first"] == pytest.approx(same / 4442, abs=1e-12)
    assert 0.7 < found["exact_match_first"] < 0.9


@pytest.fixture(scope="module")
def mean_scores(task_named, data):
    """The mean scores of what an answerer says to the real questions; by the task alone, which is quicker."""
    task = task_named("nec13b_jsquad", data / "jglue")

    def run(answer):
        found = [task.process_results(doc, [answer(doc)]) for doc in task.eval_docs]
        return {metric: sum(scores[metric] for scores in found) / len(found) for metric in found[0]}

    return run


def test_a_right_answer_at_random_gets_87_of_100_by_the_first_rule(mean_scores, right_answers):
    found = mean_scores(lambda doc: random.Random(doc["id"]).choice(doc["answers"]))
    expected = sum(texts.count(texts[0]) / len(texts) for texts in right_answers.values()) / 4442
    assert expected == pytest.approx(0.868, abs=0.001)
    assert found["exact_match_first"] == pytest.approx(expected, abs=0.02)
    assert found["exact_match"] == 1


def test_a_changed_width_counts_as_the_rules_say(mean_scores, right_answers):
    """Full-width digits and letters: right after Unicode form KC, wrong by the letter."""

    def wide(text):
        return "".join(chr(ord(c) + 0xFEE0) if 0x21 <= ord(c) <= 0x7E else c for c in text)

    found = mean_scores(lambda doc: wide(doc["answers"][0]))
    firsts = [texts[0] for texts in right_answers.values()]
    assert all(unicodedata.normalize("NFKC", wide(text)) == unicodedata.normalize("NFKC", text) for text in firsts)
    assert found["exact_match"] == 1
    unchanged = sum(wide(text).strip() == text.strip() for text in firsts)
    assert found["exact_match_first"] == pytest.approx(unchanged / 4442, abs=1e-12)


def test_who_guesses_gets_a_fifth(guessing, scores_of, data):
    found = scores_of(guessing, "nec13b_jcqa", data / "jglue", shots=0)
    assert found["acc"] == pytest.approx(0.2, abs=0.04)  # three standard errors of 1,119 guesses
    assert found["acc_stderr"] == pytest.approx((0.2 * 0.8 / 1119) ** 0.5, rel=0.1)


def test_a_limit_takes_the_first_questions(knowing, scores_of):
    asked = []
    scores_of(knowing(lambda doc: asked.append(doc["id"]) or "x"), "nec13b_jsquad", limit=3)
    assert asked == ["valid0p0q0", "valid0p0q1", "valid0p0q2"]
