"""Everything besides the tensors that determines what a network computes."""

import json
from dataclasses import asdict, dataclass

from core.data.normalisation import CIFAR10, CIFAR10_IMAGE_SIZE, Normalisation
from core.specs.architecture import Architecture


@dataclass(frozen=True)
class Signature:
    """A network's architecture, its number of classes, and the images that it takes; hashable."""

    architecture: Architecture
    classes: int
    image_size: int  # height and width, in pixels
    normalisation: Normalisation

    @property
    def example(self) -> tuple[int, int, int, int]:
        """The shape of a batch of one image."""
        return (1, len(self.normalisation.mean), self.image_size, self.image_size)

    @property
    def identity(self) -> str:
        """The signature without the number of classes, as text for a result's key.

        This is the architecture's name alone, unless it has settings or its images differ from
        CIFAR-10's.
        """
        settings = dict(self.architecture.settings)
        if (self.image_size, self.normalisation) != (CIFAR10_IMAGE_SIZE, CIFAR10):
            settings |= {"image_size": self.image_size, **asdict(self.normalisation)}
        if not settings:
            return self.architecture.name
        return f"{self.architecture.name} {json.dumps(settings, sort_keys=True)}"
