"""One baseline, any number of specs: what they share is prepared once."""

from functools import lru_cache

from torch import Tensor

from core.networks.network import Network
from core.pruning.channel import ChannelPruner
from core.pruning.channel_mask import FilterMasker
from core.pruning.fine_grained import FineGrainedPruner
from core.pruning.report import Pruned, report
from core.specs.pruning import PruningSpec

Method = FineGrainedPruner | ChannelPruner | FilterMasker


class Pruner:
    """Prunes a baseline, which must not change meanwhile and is never touched.

    Scores and sorted weights are kept for the last few criteria (at most some 90 MB each).
    """

    def __init__(self, baseline: Network):
        self.baseline = baseline
        self._prepared = lru_cache(maxsize=4)(self._prepare)

    def prune(self, spec: PruningSpec) -> Pruned:
        """A new network, and what was done to each layer."""
        spec = spec.canonical()
        network = self.baseline.with_module(self._method(spec).prune(spec))
        return Pruned(network, report(self.baseline, network))

    def kept_weights(self, spec: PruningSpec, layer: str) -> Tensor:
        """True where a weight of the baseline's layer stays, of the weight's shape."""
        spec = spec.canonical()
        return self._method(spec).kept_weights(spec, layer)

    def channel_scores(self, spec: PruningSpec) -> dict[str, Tensor]:
        """(channels,) of each group; for `channel-mask` of each convolution, (filters,)."""
        method = self._method(spec.canonical())
        assert not isinstance(method, FineGrainedPruner)
        return method.scores

    def _method(self, spec: PruningSpec) -> Method:
        return self._prepared(spec.method, spec.criterion, spec.seed, spec.allocation)

    def _prepare(self, method: str, criterion: str, seed: int, allocation: str) -> Method:
        match method:
            case "fine":
                return FineGrainedPruner(self.baseline.module, criterion, seed, allocation)
            case "channel":
                return ChannelPruner(self.baseline.module, self.baseline.structure, criterion, seed)
            case _:
                return FilterMasker(self.baseline.module, self.baseline.structure, criterion, seed)


def prune(baseline: Network, spec: PruningSpec) -> Pruned:
    """Prune once. For many specs of one baseline a `Pruner` is faster."""
    return Pruner(baseline).prune(spec)
