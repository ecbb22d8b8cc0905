"""lm-eval with models that are no models: they know the answers, or guess."""

import random
from pathlib import Path

import pytest

pytest.importorskip("lm_eval", reason="the extra nec13b[eval] is not installed")

from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

TASKS = Path(__file__).parents[2] / "evaluation" / "tasks"


class KnowingModel(LM):
    """Answers with what `choose(doc)` returns: a text, or the index of a choice."""

    def __init__(self, choose):
        super().__init__()
        self.choose = choose

    def generate_until(self, requests, disable_tqdm=False):
        return [self.choose(request.doc) for request in requests]

    def loglikelihood(self, requests, disable_tqdm=False):
        # The requests of a question follow each other, a choice each.
        return [(0.0 if request.idx == self.choose(request.doc) else -99.0, False) for request in requests]

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        raise NotImplementedError


@pytest.fixture(scope="session")
def task_named():
    """Makes a task on a folder of questions: the sample's, unless told otherwise."""

    def make(name, jglue="sample", **settings):
        manager = TaskManager(
            include_path=str(TASKS), include_defaults=False, metadata={"jglue": str(jglue), **settings}
        )
        task = manager.load([name])["tasks"][name]
        task.set_fewshot_seed(settings.get("seed", 1234))
        return task

    return make


@pytest.fixture(scope="session")
def scores_of():
    """Runs the harness: the scores of a model on a task, by metric. Without examples (`shots=0`) it is quicker."""

    def run(model, name, jglue="sample", limit=None, shots=None, **settings):
        manager = TaskManager(
            include_path=str(TASKS), include_defaults=False, metadata={"jglue": str(jglue), **settings}
        )
        results = simple_evaluate(
            model=model, tasks=[name], task_manager=manager, limit=limit, num_fewshot=shots, bootstrap_iters=1
        )
        found = results["results"][name]
        return {key.removesuffix(",none"): value for key, value in found.items() if key.endswith(",none")}

    return run


@pytest.fixture(scope="session")
def knowing():
    return KnowingModel


@pytest.fixture
def guessing():
    """A model that takes one of five choices at random, by question."""
    return KnowingModel(lambda doc: random.Random(doc["id"]).randrange(5))
