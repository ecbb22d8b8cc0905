"""What was written, read back and held to the model: the same text has to get the same logits.

A form is loaded as its users load it, through transformers' Auto classes, and reads a short text and one as long as the
window, so that an interpolation that went astray shows. Weights that were rounded to 16 bits are compared with the
model rounded alike, so the difference that is left is that of the form.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from ..errors import InputError
from .exported_forms import GGUF_NAME
from .source_model import SourceModel

LONGEST = 4096
SHORT = 32
# Kernels sum in other orders; a wrong frequency or weight is off by whole units.
TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.25}


@dataclass(frozen=True)
class Agreement:
    """How far a form is from the model.

    Attributes:
        tokens: length of the text.
        difference: largest difference of a logit.
        same_choice: share of the positions at which both hold the same token for the likeliest.
    """

    tokens: int
    difference: float
    same_choice: float


@torch.inference_mode()
def agreements(source: SourceModel, form: str, folder: Path, longest: int = 0) -> list[Agreement]:
    """Compares a form with the model on a short and a long text of random tokens.

    Args:
        source: the model.
        form: which form.
        folder: where it lies.
        longest: tokens of the long text; 0: the window, at most 4,096.

    Raises:
        InputError: they differ by more than rounding.
    """
    if form == "gguf":  # through transformers' own reader, which knows nothing of our writer
        if source.model.config.rope_parameters.get("rope_type") == "interpolation":
            return []  # that reader takes no frequencies from the file; llama.cpp does, and the tests hold it to them
        written = AutoModelForCausalLM.from_pretrained(folder, gguf_file=GGUF_NAME, dtype=source.model.dtype)
    else:
        written = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    written.eval()
    window = source.model.config.max_position_embeddings
    lengths = sorted({min(SHORT, window), min(longest or min(window, LONGEST), window)})
    generator = torch.Generator().manual_seed(0)
    found = []
    for length in lengths:
        ids = torch.randint(source.model.config.vocab_size, (1, length), generator=generator)
        ours, theirs = source.model(ids).logits.float(), written(ids).logits.float()
        same = (ours.argmax(-1) == theirs.argmax(-1)).float().mean().item()
        found.append(Agreement(length, (ours - theirs).abs().max().item(), same))
    tolerance = TOLERANCE[source.model.dtype]
    if any(each.difference > tolerance for each in found):
        worst = max(found, key=lambda each: each.difference)
        raise InputError(
            f"{folder} does not say what the model says: logits differ by {worst.difference:.3g} on "
            f"{worst.tokens:,} tokens; it must not be published"
        )
    return found
