"""Noise for differential privacy, sampled exactly: no floating-point number takes part, so no low bits tell anything.

Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy" (2020), algorithms 1 and 2: coins whose bias
is a fraction or e to the power of minus a fraction, made of fair random integers; from them the discrete Laplace law.
On whole numbers it gives exactly the privacy of its scale (Ghosh, Roughgarden, Sundararajan, 2009), whereas Laplace
noise in floating point does not (Mironov, 2012).
"""

import secrets
from collections.abc import Callable
from fractions import Fraction

Below = Callable[[int], int]
"""Returns a uniform random integer from 0 to below its argument."""


def discrete_laplace(scale: Fraction, below: Below = secrets.randbelow) -> int:
    """Return a whole number x with a probability proportional to e^(-|x| / scale); `scale` is above 0.

    By default the randomness is that of the operating system.
    """
    # Algorithm 2, with scale = t / s.
    s, t = scale.denominator, scale.numerator
    while True:
        offset = below(t)
        if not coin_exp(Fraction(offset, t), below):
            continue
        times = 0
        while coin_exp(Fraction(1), below):
            times += 1
        size = (offset + t * times) // s
        negative = below(2) == 1
        # Zero would otherwise be told twice.
        if negative and size == 0:
            continue
        return -size if negative else size


def coin_exp(power: Fraction, below: Below) -> bool:
    """Return True with probability e^-power, for a power of at least 0 (algorithm 1)."""
    while power > 1:
        if not coin_exp(Fraction(1), below):
            return False
        power -= 1
    tosses = 1
    while coin(power / tosses, below):
        tosses += 1
    return tosses % 2 == 1


def coin(chance: Fraction, below: Below) -> bool:
    """Return True with a probability that is a fraction from 0 to 1."""
    return below(chance.denominator) < chance.numerator
