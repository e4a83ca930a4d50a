"""Recovery: regain some accuracy after pruning."""

from collections.abc import Generator

from core.evidence import Evidence
from core.networks.batch_norm import Recovering, finished, recalibrate
from core.networks.network import Network
from core.pruning import Pruned
from core.recovery.reconstruct import reconstruct
from core.specs.recovery import Recovery


def recover(
    pruned: Pruned, recovery: Recovery, evidence: Evidence
) -> Generator[Recovering, None, Network]:
    """Yield progress and return the recovered network; for `none`, the pruned one.

    `evidence` is of the baseline; its precision and device are used.
    """
    network = pruned.network
    if recovery.method == "none":
        return network
    if recovery.method == "reconstruct":
        moments = yield from evidence.moments(recovery.images, recovery.seed)
        network = reconstruct(evidence.network, network, pruned.kept, moments)
    images = evidence.training.draw(recovery.images, recovery.seed)
    return (yield from recalibrate(network, images, evidence.precision, evidence.device))


def recover_fully(pruned: Pruned, recovery: Recovery, evidence: Evidence) -> Network:
    """Run `recover` to its end and return the recovered network."""
    return finished(recover(pruned, recovery, evidence))
