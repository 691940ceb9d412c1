"""Paired comparison: the median of the ratios and the interval that the sign test gives it, exactly."""

import math


def median(values):
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def sign_interval(values, confidence=0.95):
    """(low, high, reached): order statistics around the median. Under the sign test the k smallest and k largest values
    can be left out while 2 P(Binomial(n, 1/2) < k + 1) stays within 1 - confidence. With fewer than 6 values nothing can
    be left out and the reached confidence, 1 - 2^(1-n), is below 0.95: it is returned, not hidden."""
    ordered = sorted(values)
    n = len(ordered)
    below, left_out, tail = 0, 0, 0.0
    for k in range((n + 1) // 2):
        below += math.comb(n, k)
        if k and 2 * below / 2**n > 1 - confidence:
            break
        left_out, tail = k, 2 * below / 2**n
    return ordered[left_out], ordered[n - 1 - left_out], max(0.0, 1 - tail)


def geomean(values):
    return math.exp(math.fsum(map(math.log, values)) / len(values))
