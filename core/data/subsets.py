"""Seeded, stratified subsets of labelled images, drawn without torch."""

from functools import lru_cache

import numpy as np

from core.errors import InputError

SMALLEST_SUBSET = 10
LARGEST_UNEVENNESS = 1.1
"""Largest ratio of class sizes that count as the same; the digits' test classes have 1.06."""


def draw_subset(labels: np.ndarray, size: int, seed: int = 0) -> np.ndarray:
    """Draw `size` images, stratified by class; return int64 positions (size,) in the order drawn.

    `labels` are integers, (images,). Each class is shuffled by the seed. From classes of about the
    same size, images are drawn in turn; from others, in proportion to their sizes. So subsets with
    the same seed are nested, and every prefix of a subset is stratified to within about one image
    per class.

    Raises InputError unless 10 <= size <= len(labels), or size is len(labels), and seed >= 0.
    """
    if isinstance(size, bool) or not isinstance(size, int):
        raise InputError(f"The subset size must be a whole number of images, not {size!r}.")
    smallest = min(SMALLEST_SUBSET, len(labels))
    if not smallest <= size <= len(labels):
        raise InputError(
            f"A subset of {size:,} images cannot be drawn: "
            f"choose from {smallest} to {len(labels):,} images."
        )
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise InputError(f"The subset seed must be a whole number from 0 on, not {seed!r}.")
    rng = np.random.default_rng(seed)
    classes, sizes = np.unique(labels, return_counts=True)
    # Stored results name subsets that were drawn in turn, so that stays for classes of one size.
    in_turn = not len(labels) or sizes.max() <= LARGEST_UNEVENNESS * sizes.min()
    place = np.empty(len(labels))  # of each image: its turn, or a position from 0 to 1
    for label, of_class in zip(classes, sizes, strict=True):
        members = np.flatnonzero(labels == label)
        turn = rng.permutation(len(members))
        place[members] = turn if in_turn else (turn + rng.random()) / of_class
    return np.lexsort((labels, place))[:size].astype(np.int64)


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
