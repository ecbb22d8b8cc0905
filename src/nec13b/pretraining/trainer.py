"""transformers' Trainer with a fixed data order, a watch over every step, and checkpoints that are whole or nothing."""

import gc
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from torch.distributed.fsdp import MixedPrecisionPolicy
from transformers import PrinterCallback, ProgressCallback, Trainer
from transformers.trainer import TRAINER_STATE_NAME

from ..errors import InputError
from ..run_record import read_json, write_json
from .bad_steps import GoBack, LeftOut, Step, save_batch, what_to_do
from .callbacks import METRICS_NAME, AroundTheStep, MetricsFile, ProgressLine, StopOnSignal
from .checkpoints import MARKER_NAME, last_whole_checkpoint
from .config import PretrainConfig
from .gpus import GIB, peak_memory_bytes
from .sequences import SequencesInOrder
from .step_times import StepTimes
from .training_state import StateWriter, random_state, read_training_state, training_state
from .whole_model import WritesWholeModels

STATE_FOLDER = "state"
NUMBERS_NAME = "training.json"


class PretrainTrainer(WritesWholeModels, Trainer):
    """Trains on `PackedSequences` in their own order.

    Args:
        decisive: settings that fix the loss trajectory, written into every checkpoint.
        domains: names of the domains whose ids the sequences carry, for the loss by domain.
        tokens_per_second_at_best: what an MFU of 1 would come to, all processes together; None leaves MFU out.
    """

    def __init__(
        self,
        *,
        args: PretrainConfig,
        decisive: dict,
        domains: list[str] | None = None,
        tokens_per_second_at_best: float | None = None,
        **kwargs,
    ):
        args.ignore_data_skip = True  # the sampler begins where the run stands; skipping would walk there
        # Where transformers sharded the model itself (tensor parallelism), Trainer refuses to write checkpoints, since
        # it cannot save the optimizer. Ours can.
        save_only_model = args.save_only_model
        args.save_only_model = save_only_model or args.layout.tensor > 1
        if args.accelerator_config.gradient_accumulation_kwargs:  # a trainer before this one has left its count there
            args.accelerator_config.gradient_accumulation_kwargs.pop("num_steps", None)
        super().__init__(args=args, **kwargs)
        if self.is_fsdp_enabled and self.accelerator.mixed_precision == "bf16":
            # accelerate would sum gradients over the processes in bf16, and round the model's loss to it.
            self.accelerator.state.fsdp_plugin.mixed_precision_policy = MixedPrecisionPolicy(
                param_dtype=torch.bfloat16, reduce_dtype=torch.float32
            )
        args.save_only_model = save_only_model
        if self.is_deepspeed_enabled and args.on_bad_step != "stop":
            raise InputError(
                f"on_bad_step {args.on_bad_step} needs a look at the step before it is taken, which DeepSpeed does not "
                "allow; use stop, or another layout"
            )
        self.decisive, self.domains = decisive, domains or []
        self.tokens_per_second_at_best = tokens_per_second_at_best
        self.output = Path(args.output_dir)
        self.writer = StateWriter(args.checkpoint_in_background)
        self.left_out = LeftOut(self.output)
        self.times = StepTimes(args.tokens_per_batch, args.device, args.time_split_steps)
        self.micro_losses: list[torch.Tensor] = []
        self.domain_losses = torch.zeros(len(self.domains), 2, device=args.device)
        self.last_grad_norm: torch.Tensor | float | None = None
        self.remove_callback(ProgressCallback)
        self.remove_callback(PrinterCallback)
        self.add_callback(AroundTheStep(self))
        self.add_callback(ProgressLine(args))
        self.add_callback(StopOnSignal())
        self.add_callback(MetricsFile(self.output / METRICS_NAME))

    # ---- The data ----

    def _get_train_sampler(self, train_dataset=None):
        # The dataset is in order already. accelerate deals consecutive batches to the processes in turn, so one
        # optimizer step sees the same sequences on any number of them.
        dataset = train_dataset if train_dataset is not None else self.train_dataset
        return SequencesInOrder(len(dataset), lambda: self.state.global_step * self.args.sequences_per_batch)

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        self.times.begin_step(self.state.global_step + 1)
        batches = super().get_batch_samples(epoch_iterator, num_batches, device)
        self.times.data_is_there()
        return batches

    # ---- The loss ----

    def training_step(self, model, inputs, num_items_in_batch=None):
        loss = super().training_step(model, inputs, num_items_in_batch)
        self.micro_losses.append(loss)
        return loss

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        domains = inputs.pop("domain", None)
        steps = self.args.domain_loss_steps
        by_domain = domains is not None and model.training and steps and self.state.global_step % steps == 0
        if by_domain and getattr(self.model, "gives_token_losses", False):
            inputs["token_losses"] = True
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        losses = outputs.get("token_losses")
        if by_domain and losses is not None:
            rows = losses.reshape(len(domains), -1)  # a batch may come as one row, its sequences one after another
            sums = torch.stack([rows.sum(1), (rows > 0).sum(1)], dim=1)
            self.domain_losses.index_add_(0, domains.to(rows.device), sums.to(self.domain_losses.dtype))
        return (loss, outputs) if return_outputs else loss

    def _get_grad_norm(self, model, grad_norm=None):
        self.last_grad_norm = super()._get_grad_norm(model, grad_norm)
        return self.last_grad_norm

    # ---- The watch ----

    def before_the_step(self) -> None:
        """Looks at loss and gradient before the optimizer uses them; the same verdict on every process.

        Raises:
            InputError: the step is bad and `on_bad_step` says stop.
            GoBack: it says rewind.
        """
        number = self.state.global_step + 1
        losses = torch.stack(self.micro_losses).float()  # of the passes, as shares of the step's loss
        self.micro_losses = []
        loss = losses.sum()
        if self.args.world_size > 1:
            torch.distributed.all_reduce(loss)
            loss /= self.args.world_size
        norm = self.last_grad_norm
        step = Step(number, loss.item(), float(norm) if norm is not None else 0.0)
        if self.args.fp16:
            step.grad_norm = 0.0  # the gradient scaler meets infinities on purpose
        known = self.left_out.steps.get(number)
        fault = known or self.watch.fault(step)
        if fault is None:
            return
        if known is None:
            self._report(step, fault, losses)
        self.left_out_now = fault
        for parameter in self.model.parameters():  # a parameter without gradient is passed over, moments and all
            parameter.grad = None

    def _report(self, step: Step, fault: str, losses: torch.Tensor) -> None:
        mine, is_main = (self.args.process_index, losses.tolist()), self.is_world_process_zero()
        everyones = [mine]
        if self.args.world_size > 1:
            everyones = [None] * self.args.world_size
            torch.distributed.all_gather_object(everyones, mine)
        count = self.args.sequences_per_batch
        page = None
        if is_main:
            page = save_batch(
                self.output, step, fault, self.train_dataset, (step.number - 1) * count, count, everyones,
                self.processing_class,
            )  # fmt: skip
        checkpoint, _ = last_whole_checkpoint(self.output)
        whole = f"the last whole checkpoint is {checkpoint}" if checkpoint else "there is no checkpoint yet"
        action = self.args.on_bad_step
        too_many = len(self.left_out.steps) >= self.args.most_bad_steps
        if action == "stop" or too_many:
            raise what_to_do(step, fault, page or self.output, whole)
        self.left_out.add(step.number, fault, write=is_main)
        if is_main:
            print(f"step {step.number:,} is left out: {fault}; its batch is kept in {page}", flush=True)
        if action == "rewind":
            raise GoBack(step.number)

    # ---- Evaluation ----

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

    # ---- The log ----

    def log(self, logs, start_time=None):
        if "loss" in logs:
            logs |= self.times.take()
            if self.tokens_per_second_at_best and "tokens_per_second" in logs:
                logs["mfu"] = logs["tokens_per_second"] / self.tokens_per_second_at_best
            logs["memory_gib"] = peak_memory_bytes(self.args.device) / GIB
            if self.domains:
                if self.args.world_size > 1:
                    torch.distributed.all_reduce(self.domain_losses)
                for name, (total, tokens) in zip(self.domains, self.domain_losses.tolist()):
                    if tokens:
                        logs[f"loss_{name}"] = total / tokens
                self.domain_losses.zero_()
            if self.left_out_now:
                logs["left_out"], self.left_out_now = self.left_out_now, None
        super().log(logs, start_time)

    def tokens_per_second(self) -> float | None:
        """The median over the steps of the run; None where none was logged."""
        speeds = [row["tokens_per_second"] for row in self.state.log_history if "tokens_per_second" in row]
        return statistics.median(speeds) if speeds else None

    def was_evaluated(self, step: int) -> bool:
        """Whether the held-out losses at this step are known (or there is nothing to evaluate)."""
        rows = (row for row in self.state.log_history if row["step"] == step)
        return not self.eval_dataset or any(name.startswith("eval_") for row in rows for name in row)

    # ---- What is saved ----

    def train(self, *arguments, **kwargs):
        self.left_out_now: str | None = None
        self.micro_losses = []
        try:
            return super().train(*arguments, **kwargs)
        finally:
            self.writer.wait()

    def _save_checkpoint(self, model, trial):
        checkpoint = self.output / f"checkpoint-{self.state.global_step}"
        self.writer.wait()
        if self.is_world_process_zero():
            (checkpoint / MARKER_NAME).unlink(missing_ok=True)
            shutil.rmtree(checkpoint / STATE_FOLDER, ignore_errors=True)  # what a killed run left
        self.accelerator.wait_for_everyone()
        if self.is_deepspeed_enabled:
            self.save_checkpoint_in_trainers_format(model, trial)  # DeepSpeed writes its own shards
            return
        self.store_flos()
        tensors, numbers = training_state(self.model, self._plain_optimizer())
        if self.is_world_process_zero():
            checkpoint.mkdir(parents=True, exist_ok=True)
            self.state.save_to_json(str(checkpoint / TRAINER_STATE_NAME))
            scaler = getattr(self.accelerator, "scaler", None)
            write_json(
                checkpoint / NUMBERS_NAME,
                {
                    "schedule": self.lr_scheduler.state_dict(),
                    "scaler": scaler.state_dict() if scaler else None,
                    "optimizer": numbers,
                },
            )
        tensors |= random_state(self.args.process_index)
        self.writer.write(
            checkpoint / STATE_FOLDER, tensors, lambda step=self.state.global_step: self.finish_checkpoint(step)
        )

    def _plain_optimizer(self) -> torch.optim.Optimizer:
        return getattr(self.optimizer, "optimizer", self.optimizer)  # accelerate wraps it

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        if self.is_deepspeed_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        # Else weights and optimizer are read together, below, when both are prepared.

    def _load_optimizer_and_scheduler(self, checkpoint):
        if checkpoint is None or self.is_deepspeed_enabled:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        numbers = read_json(Path(checkpoint) / NUMBERS_NAME, "recipes/pretrain.py")
        optimizer = self._plain_optimizer()
        read_training_state(
            Path(checkpoint) / STATE_FOLDER, self.model, optimizer, numbers["optimizer"], self.args.process_index
        )
        # All groups of parameters have one rate; how many there are depends on the layout.
        schedule, groups = numbers["schedule"], optimizer.param_groups
        schedule |= {name: schedule[name][:1] * len(groups) for name in ("base_lrs", "_last_lr", "lr_lambdas")}
        self.lr_scheduler.load_state_dict(schedule)
        for group, rate in zip(groups, schedule["_last_lr"]):
            group["lr"] = rate

    def _load_rng_state(self, checkpoint):
        if self.is_deepspeed_enabled:
            super()._load_rng_state(checkpoint)
        # Else the generators came with the weights.

    def _load_scaler(self, checkpoint):
        if self.is_deepspeed_enabled:
            super()._load_scaler(checkpoint)
        elif checkpoint is not None and getattr(self.accelerator, "scaler", None):
            self.accelerator.scaler.load_state_dict(read_json(Path(checkpoint) / NUMBERS_NAME, "")["scaler"])


def train_to_the_end(
    trainer: PretrainTrainer,
    checkpoint: Path | None,
    find_checkpoint: Callable[[], Path | None],
    begin_again: Callable[[], PretrainTrainer],
) -> PretrainTrainer:
    """Trains; where a bad step says to go back, trains on from the last whole checkpoint with a fresh model.

    Args:
        trainer: with the initial weights.
        checkpoint: where to begin; None at the start.
        find_checkpoint: the last whole checkpoint of the run.
        begin_again: another trainer with the initial weights.

    Returns:
        The trainer that came to the end.
    """
    while True:
        trainer.args.eval_on_start = trainer.args.eval_on_start and checkpoint is None
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            return trainer
        except GoBack:
            is_main = trainer.is_world_process_zero()
        # What the old trainer holds must be gone before a new one takes as much.
        trainer.accelerator.free_memory()
        del trainer
        gc.collect()
        checkpoint = find_checkpoint()
        if is_main:
            print(f"going back to {checkpoint or 'the start'}", flush=True)
        trainer = begin_again()
