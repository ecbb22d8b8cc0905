"""A model's window becomes longer here: interpolated rotary frequencies, and text of both lengths to train on."""

from .config import ExtendContextConfig
from .interpolations import INTERPOLATIONS, interpolation_named
from .lengths import MixedLengths, held_out_lengths

__all__ = ["INTERPOLATIONS", "ExtendContextConfig", "MixedLengths", "held_out_lengths", "interpolation_named"]
