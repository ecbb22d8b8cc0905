"""The settings of the three steps: answers, verdicts, report."""

from dataclasses import dataclass, field

from ..errors import InputError
from ..generation.generator_settings import GENERATORS, GeneratorSettings
from ..recipe_config import parse_mapping
from .judge_prompt import OWN_PROMPT
from .rakuda_rows import SAMPLE

REPLAY = "replay"


@dataclass
class RakudaAnswersConfig(GeneratorSettings):
    """Has a model answer Rakuda's questions."""

    questions: str = field(
        default=SAMPLE,
        metadata={"help": "A file or folder of questions, hub:yuzuai/rakuda-questions, or sample: four of our own."},
    )
    questions_revision: str | None = field(default=None, metadata={"help": "Commit of the data set on the Hub."})
    name: str = field(default="", metadata={"help": "How the model is called from here on. Default: as the model."})
    system: str = field(default="", metadata={"help": "System message before each question."})
    output_dir: str = field(
        default="runs/rakuda/answers", metadata={"help": "Folder of answers, a file for each model; may be shared."}
    )
    answer_tokens: int = field(default=1024, metadata={"help": "Most tokens of an answer."})
    temperature: float = field(default=0.0, metadata={"help": "0 takes the likeliest token each time."})
    top_p: float = field(default=1.0, metadata={"help": "Share of the probability that is drawn from."})
    seed: int = field(default=13, metadata={"help": "Of the sampling; each question gets its own out of it."})
    stop_after_failures: int = field(default=10, metadata={"help": "Stop after so many failures in a row; 0: never."})
    budget: float = field(default=0.0, metadata={"help": "Stop when the answers have cost so much; 0: no limit."})

    def __post_init__(self):
        self.check_generator_settings()
        _check_sampling(self, ("answer_tokens",))


@dataclass
class ReportSettings:
    """What is made of verdicts."""

    labels: dict | str | None = field(
        default=None, metadata={"help": "Short names for the figure and the tables, model=name,model=name."}
    )
    report_seed: int = field(default=0, metadata={"help": "Of the resampling of questions."})
    resamples: int = field(default=2_000, metadata={"help": "Resamples for the intervals of win rates."})
    pages: bool = field(default=True, metadata={"help": "Write HTML pages of all answers and reviews."})

    def check_report_settings(self) -> None:
        """Raises InputError where a value makes no sense."""
        self.labels = parse_mapping("labels", self.labels, str) or {}
        if self.resamples < 100:
            raise InputError(f"resamples must be at least 100, not {self.resamples}")


@dataclass
class RakudaJudgeConfig(ReportSettings, GeneratorSettings):
    """Has a judge compare the answers of models two by two, and reports."""

    generator: str = field(
        default="transformers",
        metadata={"help": "What runs the judge: transformers, vllm, endpoint, or replay, which asks nobody."},
    )
    model: str = field(
        default="runs/chat_tune/model",
        metadata={
            "help": "The judge: a folder, a name; of a replay, the file of recorded reviews, a folder, or sample."
        },
    )
    questions: str = field(default=SAMPLE, metadata={"help": "As for rakuda_answers.py."})
    questions_revision: str | None = field(default=None, metadata={"help": "Commit of the data set on the Hub."})
    answers: list[str] = field(
        default_factory=lambda: [SAMPLE], metadata={"help": "Files or folders of answers, or sample."}
    )
    models: list[str] = field(
        default_factory=list, metadata={"help": "Models to be compared. Default: all whose answers there are."}
    )
    baseline: str = field(
        default="", metadata={"help": "Compare each model with this one only. Default: each with each."}
    )
    both_orders: bool = field(default=True, metadata={"help": "Judge each pair twice, each answer once first."})
    judge_prompt: str = field(
        default=OWN_PROMPT, metadata={"help": "A file with a judge prompt, of Rakuda's or your own; own: ours."}
    )
    prompt_name: str = field(default="", metadata={"help": "Which prompt, where the file has several."})
    review_tokens: int = field(default=1024, metadata={"help": "Most tokens of a review."})
    temperature: float = field(default=0.0, metadata={"help": "Of the judge; Rakuda took 0.2 in version 1, then 0."})
    top_p: float = field(default=1.0, metadata={"help": "Of the judge."})
    seed: int = field(default=13, metadata={"help": "Of a judge that samples, and of the order if only one is judged."})
    tokens_per_character: float = field(
        default=1.1, metadata={"help": "For the dry run, until judgements have shown what it is."}
    )
    expected_review_tokens: int = field(
        default=450, metadata={"help": "For the dry run, until judgements have shown what it is."}
    )
    output_dir: str = field(default="runs/rakuda/judged", metadata={"help": "Folder for the matches and the report."})
    stop_after_failures: int = field(default=20, metadata={"help": "Stop after so many failures in a row; 0: never."})
    budget: float = field(default=0.0, metadata={"help": "Stop when the reviews have cost so much; 0: no limit."})

    def __post_init__(self):
        self.check_generator_settings((*GENERATORS, REPLAY))
        self.check_report_settings()
        _check_sampling(self, ("review_tokens", "expected_review_tokens"))
        if self.tokens_per_character <= 0:
            raise InputError(f"tokens_per_character must be above 0, not {self.tokens_per_character}")

    @property
    def is_replay(self) -> bool:
        """Whether recorded reviews take the place of a judge."""
        return self.generator == REPLAY


@dataclass
class RakudaReportConfig(ReportSettings):
    """Win rates, ranking, biases, figure and pages of matches that were judged before, here or elsewhere."""

    matches: list[str] = field(
        default_factory=lambda: [SAMPLE],
        metadata={"help": "Folders of rakuda_judge.py, files of matches or reviews of Rakuda's, or sample."},
    )
    answers: list[str] = field(
        default_factory=list, metadata={"help": "Files or folders of answers, where the matches do not hold them."}
    )
    questions: str = field(default="", metadata={"help": "Questions, where the matches do not hold them."})
    output_dir: str = field(default="runs/rakuda/report", metadata={"help": "Folder that the report goes to."})

    def __post_init__(self):
        self.check_report_settings()


def _check_sampling(config, counts: tuple[str, ...]) -> None:
    for name in counts:
        if getattr(config, name) < 1:
            raise InputError(f"{name} must be at least 1, not {getattr(config, name)}")
    if config.temperature < 0 or not 0 < config.top_p <= 1:
        raise InputError("temperature must not be negative, and top_p must lie above 0 and at most be 1")
    for name in ("stop_after_failures", "budget"):
        if getattr(config, name) < 0:
            raise InputError(f"{name} must not be negative, but is {getattr(config, name)}")
