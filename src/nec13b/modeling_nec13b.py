"""NEC's 13B model: transformers' Llama under its own name.

Nothing is recomputed here. The classes inherit Llama's layers, attention backends, caches, parallel plans, quantisation
and generation; what the paper changes, the interpolation of the rotary frequencies, enters through `rope_parameters`
(see rope_interpolation.py). The same weights give the same logits as `LlamaForCausalLM`, bit for bit. Only where the
interpolation asks for `log_length_attention` are queries scaled, which Llama has no place for.
"""

from torch import nn
from transformers import LlamaForCausalLM, LlamaModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama import modeling_llama

from .configuration_nec13b import Nec13bConfig
from .rope_interpolation import RopeInterpolation


class LogLengthAttention(modeling_llama.LlamaAttention):
    """Llama's attention, its queries scaled by the logarithm of how many tokens they see."""

    def forward(
        self,
        hidden_states,
        position_embeddings=None,
        attention_mask=None,
        past_key_values=None,
        *,
        position_ids,
        **kwargs,
    ):
        shape = (*hidden_states.shape[:-1], -1, self.head_dim)
        projections = (self.q_proj, self.k_proj, self.v_proj)
        query, key, value = (project(hidden_states).view(shape).transpose(1, 2) for project in projections)
        query, key = modeling_llama.apply_rotary_pos_emb(query, key, *position_embeddings)
        scale = RopeInterpolation.of(self.config).query_scale(position_ids)
        query = query * scale[:, None, :, None].to(query.dtype)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, modeling_llama.eager_attention_forward
        )
        output, weights = attend(
            self, query, key, value, attention_mask,
            dropout=self.attention_dropout if self.training else 0.0, scaling=self.scaling, position_ids=position_ids,
            **kwargs,
        )  # fmt: skip
        return self.o_proj(output.reshape(*hidden_states.shape[:-1], -1)), weights


class Nec13bModel(LlamaModel):
    """The decoder without a head: (batch, tokens) ids to (batch, tokens, hidden_size) states."""

    config_class = Nec13bConfig
    config: Nec13bConfig

    def __init__(self, config: Nec13bConfig):
        super().__init__(config)
        interpolation = RopeInterpolation.of(config)
        if interpolation and interpolation.log_length_attention:
            for layer in self.layers:
                layer.self_attn.__class__ = LogLengthAttention  # the same weights and constants


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
