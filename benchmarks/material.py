"""The network and the images that the benchmarks work on."""

from functools import lru_cache

from torch import Tensor

from benchmarks.benchmark import CannotRunError
from core.baselines.shelf import available
from core.data import loading
from core.data.dataset import DataMissingError, DataSet, subset_indices
from core.data.normalisation import CIFAR10
from core.networks import checkpoint
from core.networks.fresh import FULL_WIDTH, Plan
from core.networks.network import Network
from core.specs.architecture import Architecture

TEST_IMAGES = 1000


@lru_cache(maxsize=1)
def network() -> tuple[Network, str]:
    """A ResNet-18 of the usual widths, never to be changed, and what it is.

    CIFAR-10's baseline where there is one; else fresh weights, rounded as a file rounds them.
    """
    for path in available("cifar10"):
        found = checkpoint.load(path)
        if len(found.network.layers["conv1"].weight) == FULL_WIDTH:
            return found.network, path.name
    new = new_network()
    new.module.load_state_dict(checkpoint.stored_tensors(new.module))
    new.module.requires_grad_(False)
    return new, "freshly initialised"


def new_network() -> Network:
    """A ResNet-18 for CIFAR-10, as training starts from."""
    return Plan(Architecture(), 10, 32, CIFAR10).build(seed=0)


@lru_cache(maxsize=1)
def images() -> DataSet:
    """CIFAR-10. Raises CannotRunError where it is missing; nothing is downloaded."""
    try:
        return loading.load("cifar10")
    except DataMissingError as error:
        raise CannotRunError(str(error)) from error


def test_images() -> tuple[Tensor, Tensor]:
    """1,000 test images and their labels, stratified."""
    dataset = images()
    chosen = subset_indices(dataset.test_labels, TEST_IMAGES)
    return dataset.test_images[chosen], dataset.test_labels[chosen]


def operations_per_image(counted: Network) -> int:
    """Floating-point operations of one forward pass, two a MAC."""
    return 2 * sum(counted.macs.values())
