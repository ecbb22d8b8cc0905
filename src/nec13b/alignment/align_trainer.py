"""trl's DPOTrainer with held-out scores that are exact, drift by own answers, and an end at signs of reward hacking."""

import contextlib
import sys

import torch
from accelerate.utils import broadcast_object_list
from peft import PeftModel
from tqdm.auto import tqdm
from transformers import PreTrainedModel
from trl import DPOTrainer

from ..chat_tuning.trl_trainer import TrlTrainer
from ..dialogues.dialogue import Message
from .align_config import AlignConfig
from .alignment_figure import draw_alignment
from .hacking_signs import evaluations, sign_of_hacking, stop_at
from .held_out_scores import HeldOutScores, pair_scores
from .losses import PER_TOKEN
from .sampled_drift import sampled_drift

FIGURE_NAME = "alignment.png"


class AlignTrainer(TrlTrainer, DPOTrainer):
    """Learns which answer was preferred.

    Args:
        decisive: settings that fix the loss trajectory, written into every checkpoint.
        reference: the model before alignment, where one is needed beside the trained one: for `reference: model`, and
            to compute log-probabilities before FSDP has sharded the trained one.
        prompts: answered at each evaluation.
        kwargs: of trl's trainer; the data sets hold tokens.
    """

    def __init__(
        self,
        *,
        args: AlignConfig,
        decisive: dict,
        reference: PreTrainedModel | None = None,
        prompts: list[list[Message]] = (),
        **kwargs,
    ):
        self.prompts, self.of_source, self.of_all = list(prompts), HeldOutScores(), HeldOutScores()
        super().__init__(args=args, decisive=decisive, ref_model=reference, **kwargs)
        if args.reference == "precomputed":
            self.ref_model = None  # what it says is on disk by now
        self.per_token = bool(PER_TOKEN.intersection(self.loss_types))

    def _prepare_dataset(self, dataset, *args, **kwargs):
        return dataset  # of tokens already

    # ---- Held-out preferences ----

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        if self.model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if "ref_chosen_logps" not in inputs:
            asked = self.ref_model if self.ref_model is not None else model
            chosen, rejected = self.compute_ref_log_probs(asked, inputs)
            inputs = {**inputs, "ref_chosen_logps": chosen, "ref_rejected_logps": rejected}
        heard = LastOutput(model)
        given, self.precompute_ref_logps = self.precompute_ref_logps, True  # trl need not ask the reference again
        try:
            loss = super().compute_loss(heard, inputs, return_outputs, num_items_in_batch)
        finally:
            self.precompute_ref_logps = given
        counted = inputs["completion_mask"][:, 1:]
        weights = verbose_weights(counted, self.ld_alpha)
        log_probs = (heard.output.log_probs[:, -counted.shape[1] :].float() * weights).sum(1)
        ratios = log_probs - torch.cat([inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]])
        scores = pair_scores(ratios, counted.sum(1), self.beta, self.per_token)
        # Pairs that fill up the last batch of the processes are left out.
        scores = self.accelerator.gather_for_metrics(scores)
        self.of_source.add(scores)
        self.of_all.add(scores)
        return loss

    def evaluation_loop(self, *args, metric_key_prefix="eval", **kwargs):
        self.of_source = HeldOutScores()
        result = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
        result.metrics.update(self.of_source.metrics(metric_key_prefix))
        return result

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval"):
        """Evaluates each source, then all together; ends the run where that shows a sign of reward hacking.

        Raises:
            InputError: naming the sign and the last checkpoint without it.
        """
        whole = eval_dataset is None
        self.of_all = HeldOutScores() if whole else self.of_all
        metrics = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        row = {**self.of_all.metrics("held_out"), **self.drift()} if whole else {}
        if row:
            self.log(row)
            self.say(row)
            self.end_at_signs()
        return metrics

    def end_at_signs(self) -> None:
        """Draws how the run stands, and ends it where it should not go on."""
        if self.is_world_process_zero():
            draw_alignment(self.output / FIGURE_NAME, self.state.log_history)
        rows = evaluations(self.state.log_history)
        sign = sign_of_hacking(rows, self.args.limits) if rows else None
        if sign:
            raise stop_at(self.state.global_step, *sign, self.output)

    def say(self, row: dict[str, float]) -> None:
        """The evaluation in a line."""
        if not self.is_world_process_zero() or "held_out_accuracy" not in row:
            return
        line = f"held-out accuracy {row['held_out_accuracy']:.1%}, margin {row['held_out_margin']:.3f}"
        if "kl" in row:
            line += f"; KL {row['kl']:.4f} +- {row['kl_error']:.4f} nats a token"
        if "length" in row:
            line += f"; answers of {row['length']:.0f} tokens"
        tqdm.write(f"{line} at step {self.state.global_step:,}")
        sys.stdout.flush()

    # ---- Own answers ----

    def drift(self) -> dict[str, float]:
        """What `sampled_drift` measures, on every process; nothing where the weights are sharded."""
        if not self.prompts or self.args.layout.strategy not in ("single", "ddp"):
            return {}
        found = [None]
        if self.is_world_process_zero():
            model = self.accelerator.unwrap_model(self.model)
            keeps = self.ref_model is not None or isinstance(model, PeftModel)
            measured = sampled_drift(
                model, self.processing_class, self.prompts, self.log_probs_of(model),
                self.reference_log_probs if keeps else None, self.args.sample_tokens, self.args.seed,
            )  # fmt: skip
            first = next((row["length"] for row in self.state.log_history if "length" in row), None)
            if "length" in measured and (first or not self.state.global_step):
                measured["length_ratio"] = measured["length"] / (first or measured["length"])
            found = [measured]
        broadcast_object_list(found, from_process=0)
        return found[0]

    def log_probs_of(self, model: PreTrainedModel):
        """A function of ids, attention mask and labels that gives the log-probability of each next label."""

        def log_probs(ids, mask, labels):
            with self.accelerator.autocast():
                return model(
                    input_ids=ids, attention_mask=mask, labels=labels, use_cache=False, fused_lm_head=True
                ).log_probs[:, -(ids.shape[1] - 1) :]

        return log_probs

    def reference_log_probs(self, ids, mask, labels) -> torch.Tensor:
        """The same of the reference: the second model, or this one without its adapter."""
        model = self.accelerator.unwrap_model(self.model)
        if self.ref_model is not None:
            model = self.accelerator.unwrap_model(self.ref_model)
        with model.disable_adapter() if isinstance(model, PeftModel) else contextlib.nullcontext():
            return self.log_probs_of(model)(ids, mask, labels)

    def log(self, logs, start_time=None):
        if not self.model.training:
            self._metrics["eval"].clear()  # means of batches; ours are of pairs
        super().log(logs, start_time)


class LastOutput:
    """A model that remembers what it gave last."""

    def __init__(self, model):
        self.model, self.output = model, None

    def __call__(self, *args, **kwargs):
        self.output = self.model(*args, **kwargs)
        return self.output


def verbose_weights(counted: torch.Tensor, ld_alpha: float | None) -> torch.Tensor:
    """Of each token of an answer: 1, or with LD-DPO `ld_alpha` beyond the length of the shorter answer of the pair.

    Args:
        counted: 1 at the tokens of an answer, the chosen ones first, shape (2 x pairs, length).
        ld_alpha: trl's setting (Liu et al., arXiv:2409.06411).
    """
    if ld_alpha is None:
        return counted.float()
    shared = torch.minimum(*counted.sum(1).chunk(2)).repeat(2)
    beyond = counted.cumsum(1) > shared[:, None]
    return counted * torch.where(beyond, ld_alpha, 1.0)
