"""One answer of one model to one prompt, as the journal of a sampling keeps it."""

from dataclasses import asdict, dataclass
from typing import Any

from ..augmentation.reply_parsing import without_thought
from ..generation.generator import Completion
from ..generation.journal import Journal
from ..preferences.answer_pair import CandidateAnswer
from .model_entry import ModelEntry

ANSWERED, FAILED = STATES = ("answered", "failed")


@dataclass(frozen=True)
class SampledAnswer:
    """What came of asking.

    Attributes:
        prompt: key of the prompt.
        model: label of the model's entry.
        number: which answer of this model to this prompt, from 1.
        seed: it was drawn by.
        text: the answer; empty where there is none.
        finish_reason: `stop`, `length` where it was cut, or what else an endpoint says.
        failure, detail: why there is no answer, or nothing.
        prompt_tokens, completion_tokens: what it took.
    """

    prompt: str
    model: str
    number: int
    seed: int
    text: str = ""
    finish_reason: str = ""
    failure: str = ""
    detail: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def place(self) -> tuple[str, str, int]:
        """Which answer it is: prompt, model and number."""
        return self.prompt, self.model, self.number

    @property
    def state(self) -> str:
        """One of STATES."""
        return FAILED if self.failure else ANSWERED

    @classmethod
    def of(cls, prompt: str, entry: ModelEntry, number: int, seed: int, completion: Completion) -> "SampledAnswer":
        """An answer that was given."""
        # A lone surrogate could be neither written nor learnt from.
        text = completion.text.encode("utf-8", errors="replace").decode("utf-8")
        return cls(prompt, entry.label, number, seed, text, completion.finish_reason,
                   prompt_tokens=completion.prompt_tokens, completion_tokens=completion.completion_tokens)  # fmt: skip

    @classmethod
    def from_row(cls, row: Any) -> "SampledAnswer":
        """From a line of the journal; raises ValueError or TypeError where it is none."""
        answer = cls(**row)
        texts = (answer.prompt, answer.model, answer.text, answer.finish_reason, answer.failure, answer.detail)
        counts = (answer.number, answer.seed, answer.prompt_tokens, answer.completion_tokens)
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(count, int) for count in counts):
            raise ValueError("no answer")
        return answer

    def to_row(self) -> dict[str, Any]:
        """As a line of the journal holds it; empty fields are left out."""
        return {name: value for name, value in asdict(self).items() if value or name in ("number", "seed")}

    def as_candidate(self, entry: ModelEntry, fingerprint: str) -> CandidateAnswer:
        """As a pair holds it, with where it comes from.

        Args:
            entry: the model's.
            fingerprint: of its weights; empty where they lie elsewhere.
        """
        provenance = {
            "label": entry.label,
            "model": entry.settings.gguf_file or entry.settings.model,
            "fingerprint": fingerprint,
            **entry.sampling.to_row(),
            "seed": self.seed,
            "tokens": self.completion_tokens,
            "ended": self.finish_reason == "stop",
        }
        return CandidateAnswer(
            without_thought(self.text).strip(), {name: value for name, value in provenance.items() if value != ""}
        )


class AnswerJournal(Journal[SampledAnswer]):
    """The answers of a sampling; one that was tried again comes again."""

    record_class = SampledAnswer
