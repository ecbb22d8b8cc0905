"""trl's SFTTrainer with held-out losses that are exact."""

import torch
from trl import SFTTrainer

from .trl_trainer import TrlTrainer
from .tuning_config import ChatTuneConfig

IGNORED = -100


class ChatTrainer(TrlTrainer, SFTTrainer):
    """Tunes on dialogues.

    Args:
        decisive: settings that fix the loss trajectory, written into every checkpoint.
    """

    def __init__(self, *, args: ChatTuneConfig, decisive: dict, **kwargs):
        # The labels say already what the assistant wrote; trl would want to find it out itself.
        assistant_only, args.assistant_only_loss = args.assistant_only_loss, False
        super().__init__(args=args, decisive=decisive, **kwargs)
        args.assistant_only_loss = assistant_only
        self.held_out_sums = torch.zeros(2, dtype=torch.float64)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        if self.model.training or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        # trl's loss is the mean of a batch, and Trainer would average batches, however many tokens they have. So the
        # sums of each dialogue are gathered; those that fill up the last batch of the processes are left out.
        outputs = model(**inputs, use_cache=False, fused_lm_head=True)
        losses, counted = -outputs.log_probs.detach(), inputs["labels"][:, 1:] != IGNORED
        width = min(losses.shape[1], counted.shape[1])
        values = torch.stack([losses[:, :width].float(), counted[:, :width].float()], dim=-1)
        if "position_ids" in inputs:  # dialogues one after another in one row
            places = (inputs["position_ids"][0] == 0).cumsum(0) - 1
            sums = values.new_zeros(int(places[-1]) + 1, 2).index_add_(0, places[:width], values[0])
        else:
            sums = values.sum(1)
        self.held_out_sums += self.accelerator.gather_for_metrics(sums).double().sum(0).cpu()
        return sums[:, 0].sum() / sums[:, 1].sum().clamp(min=1)

    def evaluation_loop(self, *args, metric_key_prefix="eval", **kwargs):
        self.held_out_sums.zero_()
        result = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
        if self.held_out_sums[1]:
            result.metrics[f"{metric_key_prefix}_loss"] = (self.held_out_sums[0] / self.held_out_sums[1]).item()
        return result
