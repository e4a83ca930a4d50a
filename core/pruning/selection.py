"""Choosing exactly so many of the lowest scores, ties broken by position."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from core.errors import InputError
from core.networks.layers import Layer


def count(ratio: float, size: int) -> int:
    """How many of `size` a ratio is; the one rounding rule of the project."""
    return round(ratio * size)


@dataclass(frozen=True, eq=False)
class RankedScores:
    """Scores of shape (n,), sorted once, so that any number of the lowest is a comparison."""

    scores: Tensor

    @cached_property
    def _ascending(self) -> np.ndarray:
        return np.sort(self.scores.numpy())

    def lowest(self, number: int) -> Tensor:
        """A boolean mask (n,) of exactly `number` lowest scores; of equals the first ones go."""
        if number == 0:
            return torch.zeros(len(self.scores), dtype=torch.bool)
        threshold = float(self._ascending[number - 1])
        below = int(np.searchsorted(self._ascending, self._ascending[number - 1], side="left"))
        through = int(np.searchsorted(self._ascending, self._ascending[number - 1], side="right"))
        if through == number:  # no equals are left behind
            return self.scores <= threshold
        chosen = self.scores < threshold
        ties = (self.scores == threshold).nonzero().flatten()
        chosen[ties[: number - below]] = True
        return chosen


def lowest_indices(scores: Tensor, number: int) -> Tensor:
    """The positions of exactly `number` lowest scores, ascending; of equals the first ones go."""
    return scores.sort(stable=True).indices[:number].sort().values


def refuse_unknown(names: Iterable[str], known: Iterable[str], what: str) -> None:
    """Raise InputError for the first of the names that is not known."""
    known = list(known)
    for name in names:
        if name not in known:
            raise InputError(
                f"There is no {what} {name!r} to prune by a ratio of its own: "
                f"choose of {', '.join(known)}."
            )


def one_of_each(
    layers: Mapping[str, Layer], weights: Mapping[str, str]
) -> tuple[dict[str, Layer], list[str]]:
    """The first layer of each weight, and a sentence for each further layer that shares it.

    `weights` are the names of the weights, by layer.
    """
    first: dict[str, str] = {}
    sentences = []
    for name in layers:
        if first.setdefault(weights[name], name) != name:
            sentences.append(f"{name} shares its weight with {first[weights[name]]}.")
    return {name: layers[name] for name in first.values()}, sentences
