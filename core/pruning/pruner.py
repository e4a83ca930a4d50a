"""One baseline, any number of specs: what they share is prepared once."""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from core.evidence import Saliency
from core.networks.network import Network
from core.pruning.channel import ChannelPruner
from core.pruning.channel_mask import FilterMasker
from core.pruning.criteria import Facts
from core.pruning.fine_grained import FineGrainedPruner
from core.pruning.hybrid import HybridPruner
from core.pruning.report import Pruned, report
from core.specs.pruning import PruningSpec
from core.specs.vocabulary import CRITERIA

Method = FineGrainedPruner | ChannelPruner | HybridPruner | FilterMasker

PREPARED = 4  # methods that a Pruner remembers


class Pruner:
    """Prunes a baseline, which must not change meanwhile and is never touched.

    `saliency` returns what criteria that look at training images need, or None where that is not
    known; then they raise InputError.

    What was scored is kept for the last four of (method, criterion, seed, allocation): in fp32
    8 bytes for each prunable weight under `fine`, 12 where one threshold is for all layers, and one
    number a channel under the other methods.
    """

    def __init__(self, baseline: Network, saliency: Callable[[], Saliency | None] = lambda: None):
        self.baseline = baseline
        self._saliency = saliency
        self._prepared = lru_cache(maxsize=PREPARED)(self._prepare)

    def prune(self, spec: PruningSpec) -> Pruned:
        """A new network, and what was done to each layer."""
        spec = spec.canonical()
        method = self._method(spec)
        network = self.baseline.with_module(method.prune(spec))
        layers, notes = report(self.baseline, network), method.notes(spec)
        if not spec.is_identity and not method.removes_something(spec):
            notes = (f"Nothing was removed at a ratio of {spec.ratio:g}.", *notes)
        return Pruned(network, layers, notes, method.kept(spec), spec)

    def kept_weights(self, spec: PruningSpec, layer: str) -> Tensor:
        """True where a weight of the baseline's layer stays, of the weight's shape."""
        spec = spec.canonical()
        return self._method(spec).kept_weights(spec, layer)

    def kept_channels(self, spec: PruningSpec) -> dict[str, Tensor]:
        """The indices of the channels that are not removed, ascending, by group."""
        method = self._method(spec.canonical())
        assert isinstance(method, ChannelPruner | HybridPruner)
        return method.kept(spec.canonical())

    def channel_scores(self, spec: PruningSpec) -> dict[str, Tensor]:
        """(channels,) of each group; for `channel-mask` of each convolution, (filters,)."""
        method = self._method(spec.canonical())
        assert not isinstance(method, FineGrainedPruner)
        return method.scores

    def _method(self, spec: PruningSpec) -> Method:
        return self._prepared(spec.method, spec.criterion, spec.seed, spec.allocation)

    def _prepare(self, method: str, criterion: str, seed: int, allocation: str) -> Method:
        saliency = self._saliency() if CRITERIA[criterion].needs_images else None
        facts = Facts(self.baseline, torch.Generator().manual_seed(seed), saliency)
        match method:
            case "fine":
                return FineGrainedPruner(facts, criterion, allocation)
            case "channel":
                return ChannelPruner(facts, criterion)
            case "hybrid":
                return HybridPruner(facts, criterion)
            case _:
                return FilterMasker(facts, criterion)


def prune(baseline: Network, spec: PruningSpec) -> Pruned:
    """Prune once. For many specs of one baseline a `Pruner` is faster."""
    return Pruner(baseline).prune(spec)
