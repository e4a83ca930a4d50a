"""Curves with fewer points than were measured."""

from collections.abc import Sequence

MOST_RATIOS = 40


def thinned(ratios: Sequence[float], *kept: float) -> list[float]:
    """Return the ratios; of more than MOST_RATIOS only the twentieths, and those `kept`."""
    if len(ratios) <= MOST_RATIOS:
        return list(ratios)
    return [ratio for ratio in ratios if round(100 * ratio) % 5 == 0 or ratio in kept]
