"""The network and the images that the benchmarks work on."""

from functools import lru_cache

from torch import Tensor

from benchmarks.benchmark import CannotRunError
from core.baselines.shelf import available
from core.data import loading
from core.data.dataset import DataMissingError, DataSet, subset_indices
from core.measuring.cost import macs_per_layer
from core.networks import checkpoint
from core.networks.resnet import ResNet18, Widths, initialise

TEST_IMAGES = 1000


@lru_cache(maxsize=1)
def network() -> tuple[ResNet18, str]:
    """A ResNet-18 of the usual widths, in eval mode and never to be changed, and what it is.

    CIFAR-10's baseline where there is one; else fresh weights, rounded as a file rounds them.
    """
    for path in available("cifar10"):
        found = checkpoint.load(path)
        if found.model.widths == Widths.regular():
            return found.model, path.name
    model = ResNet18()
    initialise(model, seed=0)
    model.load_state_dict(checkpoint.stored_tensors(model))
    return model.eval().requires_grad_(False), "freshly initialised"


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


def operations_per_image(model: ResNet18) -> int:
    """Floating-point operations of one forward pass, two a MAC."""
    return 2 * sum(macs_per_layer(model.widths, model.fc.out_features).values())
