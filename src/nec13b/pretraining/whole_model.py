"""How a Trainer of this project writes models and checkpoints: whole or not at all, its settings not as a pickle."""

import os
import shutil
from pathlib import Path

from .checkpoints import mark_complete, retire_checkpoints


class WritesWholeModels:
    """What the trainers of all stages share; stands before transformers' Trainer in the list of bases.

    Attributes:
        output: the folder of the run.
        decisive: settings that fix the loss trajectory, written into every checkpoint.
    """

    output: Path
    decisive: dict

    def save_checkpoint_in_trainers_format(self, model, trial) -> None:
        """A checkpoint as Trainer (or DeepSpeed) writes it; older ones go when it is whole, and no sooner."""
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        self.accelerator.wait_for_everyone()
        self.finish_checkpoint(self.state.global_step)

    def finish_checkpoint(self, step: int) -> None:
        """Declares a checkpoint whole and removes those that are no longer needed."""
        if self.is_world_process_zero():
            mark_complete(self.output / f"checkpoint-{step}", step, self.decisive)
            retire_checkpoints(self.output, self.args.save_total_limit, self.args.keep_every_steps)

    def save_whole_model(self, folder: Path) -> None:
        """Writes the model and the tokenizer for `from_pretrained`, gathered where the weights are sharded.

        Every process has to call this. The folder appears only when it is whole.
        """
        building = folder.with_name(f".{folder.name}.tmp")
        if self.is_fsdp_enabled:
            self.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
        self.model.config.use_cache = True  # whoever loads it wants to generate
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
