"""One baseline, any number of specs: what they share is prepared once."""

from functools import lru_cache

from torch import Tensor, nn

from core.networks.groups import NetworkGraph, trace
from core.pruning.channel import ChannelPruner
from core.pruning.channel_mask import FilterMasker
from core.pruning.fine_grained import FineGrainedPruner
from core.pruning.report import Pruned, report
from core.specs.pruning import PruningSpec

Method = FineGrainedPruner | ChannelPruner | FilterMasker


class Pruner:
    """Prunes `baseline`, which must not change meanwhile and is never touched.

    Scores and sorted weights are kept for the last few criteria (at most some 90 MB each).
    """

    def __init__(self, baseline: nn.Module):
        self.baseline = baseline
        self.graph: NetworkGraph = trace(baseline)
        self._prepared = lru_cache(maxsize=4)(self._prepare)

    def prune(self, spec: PruningSpec) -> Pruned:
        """A new network in the baseline's mode, and what was done to each layer."""
        spec = spec.canonical()
        model = self._method(spec).prune(spec)
        return Pruned(model, report(self.baseline, model))

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
                return FineGrainedPruner(self.baseline, criterion, seed, allocation)
            case "channel":
                return ChannelPruner(self.baseline, self.graph, criterion, seed)
            case _:
                return FilterMasker(self.baseline, self.graph, criterion, seed)


def prune(baseline: nn.Module, spec: PruningSpec) -> Pruned:
    """Prune once. For many specs of one baseline a `Pruner` is faster."""
    return Pruner(baseline).prune(spec)
