"""transformers' Trainer with a fixed data order and checkpoints that are whole or nothing."""

import os
import shutil
from pathlib import Path

from torch.utils.data import SequentialSampler
from transformers import PrinterCallback, ProgressCallback, Trainer
from transformers.trainer_utils import rotate_checkpoints

from .callbacks import METRICS_NAME, MetricsFile, ProgressLine, StopOnSignal
from .checkpoints import MARKER_NAME, mark_complete
from .config import PretrainConfig


class PretrainTrainer(Trainer):
    """Trains on `PackedSequences` in their own order.

    Args:
        decisive: settings that fix the loss trajectory, written into every checkpoint.
    """

    def __init__(self, *, args: PretrainConfig, decisive: dict, **kwargs):
        super().__init__(args=args, **kwargs)
        self.decisive = decisive
        self.remove_callback(ProgressCallback)
        self.remove_callback(PrinterCallback)
        self.add_callback(ProgressLine(args))
        self.add_callback(StopOnSignal())
        self.add_callback(MetricsFile(Path(args.output_dir) / METRICS_NAME))

    def _get_train_sampler(self, train_dataset=None):
        # The dataset is in order already. accelerate deals consecutive batches to the processes in turn, so one
        # optimizer step sees the same sequences on any number of them.
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)

    def was_evaluated(self, step: int) -> bool:
        """Whether the held-out losses at this step are known (or there is nothing to evaluate)."""
        rows = (row for row in self.state.log_history if row["step"] == step)
        return not self.eval_dataset or any(name.startswith("eval_") for row in rows for name in row)

    def save_whole_model(self, folder: Path) -> None:
        """Writes the model and the tokenizer for `from_pretrained`, gathered where the weights are sharded.

        Every process has to call this. The folder appears only when it is whole.
        """
        building = folder.with_name(f".{folder.name}.tmp")
        if self.is_fsdp_enabled:
            self.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
        self.save_model(str(building))
        self.accelerator.wait_for_everyone()
        if self.is_world_process_zero():
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(building, folder)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        super().save_model(output_dir, _internal_call)
        # A pickle of the settings, tokens for the Hub among them; run.json says it without either.
        if self.is_world_process_zero():
            (Path(output_dir or self.args.output_dir) / "training_args.bin").unlink(missing_ok=True)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        # FSDP2 gives a sharded model a class made on the spot in a module of torch's; what is written to disk (the name
        # of the architecture, the code for trust_remote_code) follows the class.
        sharded_class = type(self.model)
        self.model.__class__ = next(c for c in sharded_class.__mro__ if not c.__module__.startswith("torch."))
        try:
            super()._save(output_dir, state_dict)
        finally:
            self.model.__class__ = sharded_class

    def _save_checkpoint(self, model, trial):
        checkpoint = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        if self.is_world_process_zero():
            (checkpoint / MARKER_NAME).unlink(missing_ok=True)
        # Older checkpoints are deleted only once the new one is whole, not as Trainer would, before.
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        self.accelerator.wait_for_everyone()
        if self.is_world_process_zero():
            mark_complete(checkpoint, self.state.global_step, self.decisive)
            rotate_checkpoints(self.args.output_dir, limit)
