"""What the trainers of this project on trl's have in common: whole checkpoints, a metrics file, progress, samples."""

import json
import time
from pathlib import Path

from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from ..dialogues.dialogue import Message
from ..pretraining.callbacks import METRICS_NAME, MetricsFile, ProgressLine, StopOnSignal
from ..pretraining.checkpoints import MARKER_NAME
from ..pretraining.gpus import GIB, peak_memory_bytes
from ..pretraining.whole_model import WritesWholeModels
from ..run_record import write_json
from ..whole_files import whole_file
from .answers import answers
from .tuning_settings import TuningSettings


class TrlTrainer(WritesWholeModels):
    """Stands before one of trl's trainers in the list of bases.

    Args:
        args: the settings.
        decisive: settings that fix the loss trajectory, written into every checkpoint.
        kwargs: of trl's trainer.
    """

    def __init__(self, *, args: TuningSettings, decisive: dict, **kwargs):
        if args.accelerator_config.gradient_accumulation_kwargs:  # a trainer before this one has left its count there
            args.accelerator_config.gradient_accumulation_kwargs.pop("num_steps", None)
        super().__init__(args=args, **kwargs)
        self.decisive, self.output = decisive, Path(args.output_dir)
        self.tokens_then, self.seconds_then = 0, time.monotonic()
        self.remove_callback(ProgressCallback)
        self.remove_callback(PrinterCallback)
        self.add_callback(TokensSeen(self))
        self.add_callback(ProgressLine(args))
        self.add_callback(StopOnSignal())
        self.add_callback(MetricsFile(self.output / METRICS_NAME))

    def log(self, logs, start_time=None):
        if "loss" in logs:
            tokens, now = self._total_train_tokens, time.monotonic()
            if tokens > self.tokens_then:
                logs["tokens_per_second"] = (tokens - self.tokens_then) / (now - self.seconds_then)
            self.tokens_then, self.seconds_then = tokens, now
            logs["memory_gib"] = peak_memory_bytes(self.args.device) / GIB
        super().log(logs, start_time)

    def evaluate(self, *args, **kwargs):
        metrics = super().evaluate(*args, **kwargs)
        self.seconds_then = time.monotonic()  # evaluating is no part of the training speed
        return metrics

    def create_model_card(self, *args, **kwargs) -> None:
        """None: trl's would describe the folder of the run and not the model."""

    def _save_checkpoint(self, model, trial):
        checkpoint = self.output / f"checkpoint-{self.state.global_step}"
        if self.is_world_process_zero():
            (checkpoint / MARKER_NAME).unlink(missing_ok=True)
        self.save_checkpoint_in_trainers_format(model, trial)


class TokensSeen(TrainerCallback):
    """Goes on with the count of tokens where a resumed run stands; trl would begin again."""

    def __init__(self, trainer: TrlTrainer):
        self.trainer = trainer

    def on_train_begin(self, args, state, control, **kwargs):
        self.trainer.tokens_then = self.trainer._total_train_tokens = tokens_seen(state.log_history)


def tokens_seen(log_history: list[dict]) -> int:
    """Tokens trained on, over all processes and epochs."""
    return int(max((row["num_tokens"] for row in log_history if "num_tokens" in row), default=0))


class SampleAnswers(TrainerCallback):
    """Answers the sample questions at each evaluation and keeps the page up to date.

    Args:
        path: the Markdown page.
        prompts: dialogues that end with a question.
        trainer: whose model answers.
        tokens: most tokens of an answer.
    """

    def __init__(self, path: Path, prompts: list[list[Message]], trainer: TrlTrainer, tokens: int):
        self.path, self.prompts, self.trainer, self.tokens = path, prompts, trainer, tokens
        self.by_step: dict[int, list[str]] = {}

    def on_train_begin(self, args, state, control, **kwargs):
        if self._kept.is_file():  # a resumed run keeps the answers up to its step
            kept = {int(step): texts for step, texts in json.loads(self._kept.read_text(encoding="utf-8")).items()}
            self.by_step = {step: texts for step, texts in kept.items() if step <= state.global_step}

    @property
    def _kept(self) -> Path:
        return self.path.with_suffix(".json")

    def on_evaluate(self, args, state, control, **kwargs):
        # With several held-out sources this is called once for each. Sharded weights cannot generate one by one.
        if not self.prompts or state.global_step in self.by_step or args.layout.strategy not in ("single", "ddp"):
            return
        if state.is_world_process_zero:
            model = self.trainer.accelerator.unwrap_model(self.trainer.model)
            found = answers(model, self.trainer.processing_class, self.prompts, self.tokens, args.seed)
            self.add(state.global_step, [answer.text for answer in found])

    def add(self, step: int, texts: list[str]) -> None:
        """Takes down the answers of a step and writes the page."""
        self.by_step[step] = texts
        write_json(self._kept, self.by_step)
        lines = ["# What the model answers", ""]
        for number, prompt in enumerate(self.prompts):
            lines += [f"## {prompt[-1]['content'].strip().splitlines()[0]}", ""]
            for at, texts_then in sorted(self.by_step.items()):
                lines += [f"step {at:,}:", "", "~~~~text", texts_then[number], "~~~~", ""]
        with whole_file(self.path) as building:
            building.write_text("\n".join(lines), encoding="utf-8")
