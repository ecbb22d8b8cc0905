"""Which solved questions stand before a question.

lm-eval draws them one question after the other from one generator, so that what stands before a question depends on
`--limit`, on the number of processes and on the order of tasks. Here it depends on the seed and the question alone: all
models and all prompt versions see the same examples before the same question.
"""

import random

from lm_eval.api.samplers import ContextSampler

JP_STABLE_SEED = 42


class ExamplesByQuestion(ContextSampler):
    """Draws examples by seed and question.

    Attributes:
        question: id of the question that is being asked; set before each draw.
    """

    question = ""
    seed: int | None = None

    def set_rnd(self, rnd: int | None):
        self.seed = rnd
        return self

    def sample(self, n: int, eval_doc=None, df=None, **kwargs) -> list[dict]:
        """`n` different rows of the pool."""
        return random.Random(f"{self.seed} {self.question}").sample(list(self.df), n)


class JpStableExamples(ContextSampler):
    """The very examples that jp-stable drew in 2023, for the same files of questions and examples.

    Its evaluator shuffles the questions with a generator seeded by 42 and then draws from the same generator for each
    (Stability-AI/lm-evaluation-harness, branch jp-stable, lm_eval/evaluator.py). So there is one seed, and no question
    is left out of the pool, also not one that is being asked.

    Args:
        pool: solved questions, as jp-stable had them.
        asked: ids of all questions, in the order of their file.
    """

    question = ""

    def __init__(self, pool: list[dict], asked: list[str]):
        super().__init__(pool)
        self.asked, self._chosen, self._size = asked, {}, None

    def set_rnd(self, rnd: int | None):
        return self

    def sample(self, n: int, eval_doc=None, df=None, **kwargs) -> list[dict]:
        """The `n` rows of the pool that stood before the question."""
        if self._size != n:
            generator = random.Random(JP_STABLE_SEED)
            order = list(self.asked)
            generator.shuffle(order)
            # Drawing from a range takes the same random numbers as drawing from the rows.
            self._chosen = {asked: generator.sample(range(len(self.df)), n) for asked in order}
            self._size = n
        return [self.df[i] for i in self._chosen[self.question]]
