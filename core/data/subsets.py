"""Seeded, stratified subsets of labelled images, drawn without torch."""

from functools import lru_cache

import numpy as np

from core.errors import InputError

SMALLEST_SUBSET = 10


def draw_subset(labels: np.ndarray, size: int, seed: int = 0) -> np.ndarray:
    """Draw `size` images, stratified by class; return int64 positions (size,) in the order drawn.

    `labels` are integers, (images,). Each class is shuffled by the seed, and images are drawn from
    the classes in turn. So subsets with the same seed are nested, and every prefix of a subset is
    stratified to within one image per class (if the classes have equal sizes).

    Raises InputError unless 10 <= size <= len(labels) and seed >= 0.
    """
    if isinstance(size, bool) or not isinstance(size, int):
        raise InputError(f"The subset size must be a whole number of images, not {size!r}.")
    if not SMALLEST_SUBSET <= size <= len(labels):
        raise InputError(
            f"A subset of {size:,} images cannot be drawn: "
            f"choose from {SMALLEST_SUBSET} to {len(labels):,} images."
        )
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise InputError(f"The subset seed must be a whole number from 0 on, not {seed!r}.")
    rng = np.random.default_rng(seed)
    turn = np.empty(len(labels), dtype=np.int64)  # the round in which each image is drawn
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = rng.permutation(len(members))
    return np.lexsort((labels, turn))[:size].astype(np.int64)


def sorted_subset(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Draw a subset; return its positions in ascending order, read-only int64 (size,)."""
    if size == len(labels):
        return np.arange(size)
    return _sorted_draw(labels.tobytes(), labels.dtype.str, size, seed)


@lru_cache(maxsize=32)  # drawing takes milliseconds, and many results are on the same subset
def _sorted_draw(labels: bytes, dtype: str, size: int, seed: int) -> np.ndarray:
    positions = np.sort(draw_subset(np.frombuffer(labels, dtype), size, seed))
    positions.flags.writeable = False
    return positions
