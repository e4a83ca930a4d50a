"""Recovery: regain some accuracy after pruning."""

from collections.abc import Generator
from pathlib import Path

from core.evidence import Evidence
from core.networks.batch_norm import Recovering, finished, recalibrate
from core.networks.network import Network
from core.pruning import Pruned
from core.recovery.finetune import finetune
from core.recovery.gradual import gradual
from core.recovery.merge import merged
from core.recovery.reconstruct import reconstruct
from core.specs.recovery import MERGED, RECONSTRUCTED, Recovery


def recover(
    pruned: Pruned, recovery: Recovery, evidence: Evidence, resume_file: Path | None = None
) -> Generator[Recovering, None, Network]:
    """Yield progress and return the recovered network; for `none`, the pruned one.

    `evidence` is of the baseline; its precision and device are used. For `resume_file` see
    `finetune`. Gradual pruning prunes the baseline again, as `pruned` was.
    """
    if not recovery.needs_images:
        return recover_without_images(pruned, recovery, evidence.network)
    network = pruned.network
    if recovery.is_gradual:
        return (yield from gradual(pruned, recovery, evidence, resume_file))
    if recovery.trains:
        started = yield from recover(pruned, recovery.before, evidence)
        return (yield from finetune(started, recovery, evidence, resume_file))
    if recovery.method == RECONSTRUCTED.method:
        moments = yield from evidence.moments(recovery.images, recovery.seed)
        network = reconstruct(evidence.network, network, pruned.kept, moments)
    images = evidence.training.draw(recovery.images, recovery.seed)
    return (yield from recalibrate(network, images, evidence.precision, evidence.device))


def recover_without_images(pruned: Pruned, recovery: Recovery, baseline: Network) -> Network:
    """Return the network recovered by what needs no images; for `none`, the pruned one."""
    return merged(baseline, pruned) if recovery == MERGED else pruned.network


def recover_fully(pruned: Pruned, recovery: Recovery, evidence: Evidence) -> Network:
    """Run `recover` to its end and return the recovered network."""
    return finished(recover(pruned, recovery, evidence))
