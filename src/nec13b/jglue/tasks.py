"""The tasks of evaluation/tasks/ in lm-eval: where their questions, examples and tokenizer come from.

The YAML files hold the prompts, word for word; these classes hold what YAML cannot say. Settings come through lm-eval's
metadata, which holds the model's arguments and what `--metadata '{"jglue": "my/folder"}'` adds:

- `jglue`: folder of JGLUE's files, or `sample`; else NEC13B_JGLUE, else the Hub.
- `jglue_revision`: commit of the Hub's copy.
- `examples`: `by_question` (the default), or `jp_stable` for the very examples of 2023.
- `tokenizer`, else `pretrained`: whose tokens limit the answers of `exact_match_jp`, which is left out without it.
"""

import functools

from datasets import Dataset
from lm_eval.api.task import ConfigurableTask
from transformers import AutoTokenizer

from ..errors import InputError
from .few_shot import ExamplesByQuestion, JpStableExamples
from .questions import JCQA, JSQUAD, read_questions, without_asked
from .scores import cut_to_longest, first_line, matches_jp


class JglueTask(ConfigurableTask):
    """A task of this project in lm-eval: its questions and its examples."""

    data_name = ""

    def __init__(self, data_dir=None, cache_dir=None, download_mode=None, config: dict | None = None):
        super().__init__(data_dir, cache_dir, download_mode, {k: v for k, v in config.items() if k != "class"})
        pool = list(self.fewshot_docs())
        chosen = self.config.metadata.get("examples", "by_question")
        if chosen == "jp_stable":
            self.sampler = JpStableExamples(pool, [row["id"] for row in self.eval_docs])
        else:
            self.sampler = ExamplesByQuestion(pool)

    def download(self, dataset_kwargs=None, **kwargs) -> None:
        """Reads the questions; called by lm-eval when the task is made.

        Raises:
            InputError: there are none, or `examples` is unknown.
        """
        settings = self.config.metadata
        examples = settings.get("examples", "by_question")
        if examples not in ("by_question", "jp_stable"):
            raise InputError(f"examples must be by_question or jp_stable, not {examples!r}")
        found = read_questions(self.data_name, settings.get("jglue"), settings.get("jglue_revision"))
        # Nobody may find the answer to a question among its examples.
        pool = found.pool if examples == "jp_stable" else without_asked(found.pool, found.asked)
        settings.update(examples=examples, asked_from=found.asked_from, examples_from=found.pool_from, pool=len(pool))
        self.dataset = {"validation": Dataset.from_list(found.asked), "examples": Dataset.from_list(pool)}

    def fewshot_context(self, doc: dict, *args, **kwargs):
        """The prompt; as lm-eval makes it, of the examples of this question."""
        self.sampler.question = doc["id"]
        return super().fewshot_context(doc, *args, **kwargs)


class Jsquad(JglueTask):
    """JSQuAD: an answer out of a passage, generated."""

    data_name = JSQUAD

    def process_results(self, doc: dict, results: list[str]) -> dict[str, float]:
        """The scores of an answer, and with a tokenizer jp-stable's with its limit of tokens."""
        scores = super().process_results(doc, results)
        if self.tokenizer is not None:
            before = self.doc_to_text(doc).splitlines(keepends=True)[-1]
            cut = cut_to_longest(first_line(results[0]), doc["answers"], self.tokenizer, before)
            scores["exact_match_jp"] = float(matches_jp(cut, doc["answers"]))
        return scores

    @functools.cached_property
    def tokenizer(self):
        """The tokenizer that the settings name; None where they name none. Who has the model's sets it."""
        settings = self.config.metadata
        name = settings.get("tokenizer") or settings.get("pretrained")
        if not isinstance(name, str):
            return name
        options = {key: settings[key] for key in ("revision", "trust_remote_code", "gguf_file") if settings.get(key)}
        return AutoTokenizer.from_pretrained(name, **options)


class Jcqa(JglueTask):
    """JCommonsenseQA: one of five choices, the likeliest."""

    data_name = JCQA
