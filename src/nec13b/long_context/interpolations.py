"""The ways to stretch a window, by name: the project's own and its rivals (docs/long_context.md)."""

import math

from ..errors import InputError
from ..rope_interpolation import RopeInterpolation

INTERPOLATIONS = {
    "own": "by parts: what turns four times within the old window stays, what turns less than a quarter is divided; "
    "beyond factor 4 the ramp is longer and attention sharper",
    "none": "the frequencies stay",
    "linear": "all are divided by the factor (position interpolation)",
    "ntk": "a larger base, which divides the slowest frequency by the factor",
    "yarn": "by parts between 1 and 32 turns, and a temperature",
}


OWN_FACTOR = 4.0  # up to which the ramp of `own` is that of RopeInterpolation's defaults


def interpolation_named(name: str, factor: float, window: int) -> RopeInterpolation:
    """One of `INTERPOLATIONS`.

    Args:
        name: which.
        factor: new window divided by the old one.
        window: the old one, in tokens.

    Raises:
        InputError: there is none of this name.
    """
    if name not in INTERPOLATIONS:
        raise InputError(f"interpolation must be one of {', '.join(INTERPOLATIONS)}, not {name!r}")
    if name == "own":
        # What ends far beyond the old window has to keep its distances too, and there are more tokens to choose from.
        beyond = max(1.0, factor / OWN_FACTOR)
        high, temperature = RopeInterpolation.high_rotations * beyond**2, (0.1 * math.log(beyond) + 1) ** -2
        return RopeInterpolation("by_parts", factor, window, high_rotations=high, attention_temperature=temperature)
    if name == "yarn":
        temperature = (0.1 * math.log(factor) + 1) ** -2
        return RopeInterpolation("by_parts", factor, window, 1.0, 32.0, "linear", attention_temperature=temperature)
    return RopeInterpolation(name, factor, window)
