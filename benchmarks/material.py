"""The network and the images for the benchmarks."""

from functools import lru_cache

from torch import Tensor

from benchmarks.benchmark import CannotRunError
from core.baselines.shelf import available
from core.data import loading
from core.data.dataset import DataMissingError, DataSet, subset_indices
from core.data.normalisation import CIFAR10
from core.networks import checkpoint
from core.networks.fresh import Plan
from core.networks.network import Network
from core.networks.signature import Signature
from core.specs.architecture import Architecture

TEST_IMAGES = 1000
FULL_WIDTH = 64  # channels of the first convolution of a ResNet-18


@lru_cache(maxsize=1)
def network() -> tuple[Network, str]:
    """Return a full-width ResNet-18, which must not be modified, and its description.

    It is a CIFAR-10 baseline if there is one, else a new network with weights rounded as on disk.
    """
    for path in available("cifar10"):
        found = checkpoint.load(path)
        is_resnet18 = found.signature.architecture == Architecture()
        if is_resnet18 and len(found.stored["conv1.weight"]) == FULL_WIDTH:
            return found.network, path.name
    new = new_network()
    new.module.load_state_dict(checkpoint.stored_tensors(new.module))
    new.module.requires_grad_(False)
    return new, "freshly initialised"


def new_network() -> Network:
    """Return a ResNet-18 for CIFAR-10 with random weights."""
    return Plan(Signature(Architecture(), 10, 32, CIFAR10)).build(seed=0)


@lru_cache(maxsize=1)
def images() -> DataSet:
    """Load CIFAR-10 without downloading it. Raises CannotRunError if it is missing."""
    try:
        return loading.load("cifar10")
    except DataMissingError as error:
        raise CannotRunError(str(error)) from error


def test_images() -> tuple[Tensor, Tensor]:
    """Return 1,000 stratified test images and their labels."""
    dataset = images()
    chosen = subset_indices(dataset.test_labels, TEST_IMAGES)
    return dataset.test_images[chosen], dataset.test_labels[chosen]


def operations_per_image(counted: Network) -> int:
    """Return the floating-point operations of one forward pass, two per MAC."""
    return 2 * sum(counted.macs.values())
