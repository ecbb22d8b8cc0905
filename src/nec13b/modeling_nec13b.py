"""NEC's 13B model: transformers' Llama under its own name.

Nothing is recomputed here. The classes inherit Llama's layers, attention backends, caches, parallel plans, quantisation
and generation; what the paper changes, the interpolation of the rotary frequencies, enters through `rope_parameters`
(see rope_interpolation.py). The same weights give the same logits as `LlamaForCausalLM`, bit for bit.
"""

from torch import nn
from transformers import LlamaForCausalLM, LlamaModel

from .configuration_nec13b import Nec13bConfig


class Nec13bModel(LlamaModel):
    """The decoder without a head: (batch, tokens) ids to (batch, tokens, hidden_size) states."""

    config_class = Nec13bConfig
    config: Nec13bConfig


class Nec13bForCausalLM(LlamaForCausalLM):
    """The language model: (batch, tokens) ids to (batch, tokens, vocab_size) logits, with labels to the loss too."""

    config_class = Nec13bConfig
    config: Nec13bConfig

    def __init__(self, config: Nec13bConfig):
        # Llama's own constructor would build and initialise a second decoder, 50 GB of it at 13B.
        super(LlamaForCausalLM, self).__init__(config)
        self.model = Nec13bModel(config)
        self.vocab_size = config.vocab_size
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()


# save_pretrained copies these three modules beside the weights, so that trust_remote_code loads them without nec13b.
Nec13bConfig.register_for_auto_class()
Nec13bModel.register_for_auto_class("AutoModel")
Nec13bForCausalLM.register_for_auto_class("AutoModelForCausalLM")

__all__ = ["Nec13bForCausalLM", "Nec13bModel"]
