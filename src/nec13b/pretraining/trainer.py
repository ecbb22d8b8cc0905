"""transformers' Trainer with a fixed data order and checkpoints that are whole or nothing."""

import os
import shutil
from pathlib import Path

import torch
from torch.utils.data import SequentialSampler
from transformers import PrinterCallback, ProgressCallback, Trainer
from transformers.trainer import SCHEDULER_NAME
from transformers.trainer_utils import rotate_checkpoints

from .callbacks import METRICS_NAME, MetricsFile, ProgressLine, StopOnSignal
from .checkpoints import MARKER_NAME, mark_complete
from .config import PretrainConfig
from .sharded_states import load_optimizer_state, load_weights, save_optimizer_state


class PretrainTrainer(Trainer):
    """Trains on `PackedSequences` in their own order.

    Args:
        decisive: settings that fix the loss trajectory, written into every checkpoint.
    """

    def __init__(self, *, args: PretrainConfig, decisive: dict, **kwargs):
        # transformers refuses to train a model that it sharded itself (tensor parallelism) where checkpoints are wanted,
        # since Trainer cannot save its optimizer; sharded_states.py can.
        save_only_model = args.save_only_model
        args.save_only_model = save_only_model or args.layout.tensor > 1
        super().__init__(args=args, **kwargs)
        args.save_only_model = save_only_model
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

    def evaluation_loop(self, *args, **kwargs):
        self.gather_function = self._gather_from_data_ranks
        return super().evaluation_loop(*args, **kwargs)

    def _gather_from_data_ranks(self, values):
        """accelerate's gather_for_metrics, which would count a sequence once for every rank that works on it."""
        ranks_per_sequence = self.args.layout.tensor * self.args.layout.context
        if ranks_per_sequence == 1:
            return self.accelerator.gather_for_metrics(values)
        gathered = self.accelerator.gather(values).unflatten(0, (self.args.world_size, -1))
        gathered = gathered[::ranks_per_sequence].flatten(0, 1)
        loader = self.accelerator.gradient_state
        return gathered[: loader.remainder] if loader.end_of_dataloader and loader.remainder > 0 else gathered

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        loss, logits, labels = super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        if self.args.layout.context > 1 and loss is not None:
            # Each rank has the loss of its own part of the sequences, scaled so that the mean over all is the loss.
            torch.distributed.all_reduce(loss, group=self.accelerator.torch_device_mesh["cp"].get_group())
            loss /= self.args.layout.context
        return loss, logits, labels

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.is_distributed_loading_by_transformers:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        save_optimizer_state(self.model, self.optimizer, output_dir)
        if self.is_world_process_zero():
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None or not self.is_distributed_loading_by_transformers:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        load_optimizer_state(self.model, self.optimizer, checkpoint)
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint) / SCHEDULER_NAME, weights_only=True))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        if self.is_distributed_loading_by_transformers:
            load_weights(self.model, resume_from_checkpoint)
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)

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
