"""Which examples stand before a question."""

import gzip
import json

import pytest

from nec13b.jglue.few_shot import ExamplesByQuestion, JpStableExamples
from nec13b.jglue.questions import read_jcqa

POOL = [{"id": str(i)} for i in range(50)]


def drawn(seed, question, n=3):
    sampler = ExamplesByQuestion(POOL)
    sampler.set_rnd(seed)
    sampler.question = question
    return [row["id"] for row in sampler.sample(n)]


def test_examples_depend_on_seed_and_question_alone():
    assert drawn(1, "a") == drawn(1, "a")
    assert drawn(1, "a") != drawn(1, "b")
    assert drawn(1, "a") != drawn(2, "a")
    assert len(set(drawn(1, "a", 50))) == 50


def test_examples_do_not_depend_on_limit_order_or_prompt(task_named):
    """lm-eval's own draw would give the third question other examples when it is asked first."""
    one, other = task_named("nec13b_jsquad"), task_named("nec13b_jsquad_0_2")

    def examples(task, doc):
        task.fewshot_context(doc=doc, num_fewshot=2)
        return [row["id"] for row in task.sampler.sample(2)]

    third = one.eval_docs[2]
    before = examples(one, third)
    for doc in one.eval_docs:
        examples(one, doc)
    assert examples(one, third) == before == examples(other, third)


def test_jp_stable_has_one_draw():
    asked = [f"q{i}" for i in range(7)]
    sampler = JpStableExamples(POOL, asked)
    found = {}
    for question in reversed(asked):
        sampler.question = question
        found[question] = [row["id"] for row in sampler.set_rnd(question).sample(2)]
    # By the generator of Python, which keeps its draws across versions: random.Random(42), shuffle 7, sample 2 of 50.
    import random

    generator, order = random.Random(42), list(asked)
    generator.shuffle(order)
    assert found == {question: [row["id"] for row in generator.sample(POOL, 2)] for question in order}


@pytest.fixture
def overlapping(tmp_path):
    """JCommonsenseQA where two questions of the pool are asked, too."""

    def row(i, question):
        return {"q_id": i, "question": question, **{f"choice{j}": f"{i} {j}" for j in range(5)}, "label": i % 5}

    for split, rows in {
        "train": [row(i, f"問い{i}") for i in range(6)],
        "valid": [row(10, "問い0"), row(11, "問い3"), row(12, "ほか")],
    }.items():
        with gzip.open(tmp_path / f"jcommonsenseqa-v1.3-{split}.json.gz", "wt", encoding="utf-8") as file:
            file.write("\n".join(json.dumps(r, ensure_ascii=False) for r in rows))
    return tmp_path


def test_what_is_asked_is_no_example(task_named, overlapping):
    task = task_named("nec13b_jcqa", overlapping)
    assert {row["question"] for row in task.fewshot_docs()} == {"問い1", "問い2", "問い4", "問い5"}
    assert task.config.metadata["pool"] == 4
    for doc in task.eval_docs:
        assert task.fewshot_context(doc=doc, num_fewshot=3).count(doc["question"]) == 1
    as_in_2023 = task_named("nec13b_jcqa", overlapping, examples="jp_stable")
    assert len(as_in_2023.fewshot_docs()) == 6


def test_no_question_of_jcommonsenseqa_is_an_example(task_named, data):
    task = task_named("nec13b_jcqa", data / "jglue")
    asked = {doc["question"] for doc in task.eval_docs}
    assert not asked & {row["question"] for row in task.fewshot_docs()}
    train = read_jcqa(data / "jglue" / "jcommonsenseqa-v1.3-train.json.gz")
    again = [row for row in train if row["question"] in asked]
    assert len({row["question"] for row in again}) == 17
    assert len(task.fewshot_docs()) == len(train) - len(again)


def test_jsquad_takes_the_test_split_where_there_is_no_training_split(task_named, data):
    about = task_named("nec13b_jsquad", data / "jglue").config.metadata
    assert about["examples_from"] == "jsquad-v1.3-test.json.gz (the test split: there is no training split)"
    assert about["asked_from"] == "jsquad-v1.3-valid.json.gz (JSQuAD's validation questions, v1.0 to v1.3)"
