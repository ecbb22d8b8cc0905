"""Wilson's interval of a share, for counts that need not be whole: ties are halves, dependent cases count for fewer."""

import math

Z_95 = 1.959963984540054


def wilson_interval(cases: float, of: float) -> tuple[float, float]:
    """The 95% interval of `cases / of` (E. B. Wilson, Probable inference, 1927).

    Args:
        cases: how often, 0 to `of`; may be halves.
        of: observations, above 0; where they depend on each other, as many independent ones as tell as much.
    """
    share, z2 = cases / of, Z_95**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z_95 / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)
