"""What is exported: a network, what is said of it, and the images that its files are checked on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from core.export import tracing
from core.networks.network import Network

MOST_IMAGES = 200
"""Test images that a file is checked on."""
RANDOM_IMAGES = 64
BATCH = 100


@dataclass(frozen=True, eq=False)
class Subject:
    """A network to export; never modify it."""

    network: Network
    description: str  # one line, such as "ResNet-18, channel 0.5 recovery=bn"
    dataset: str  # the name of the data set that it was trained on
    class_names: tuple[str, ...] = ()  # empty if they are not known
    metadata: Mapping[str, Any] = field(default_factory=dict)  # of its checkpoint file
    test_images: Tensor | None = None  # uint8 (N, colours, H, W)
    test_labels: Tensor | None = None  # int64 (N,)
    normalise: bool = False  # whether the normalisation is part of the exported network

    @cached_property
    def images(self) -> Tensor:
        """The images that files are checked on, uint8: test images, else random ones."""
        if self.test_images is not None:
            return self.test_images[:MOST_IMAGES]
        _, *shape = self.network.signature.example
        generator = torch.Generator().manual_seed(0)
        return torch.randint(256, (RANDOM_IMAGES, *shape), generator=generator, dtype=torch.uint8)

    @property
    def labels(self) -> Tensor | None:
        """The labels of `images`; None if they are random."""
        return None if self.test_labels is None else self.test_labels[:MOST_IMAGES]

    @cached_property
    def inputs(self) -> Tensor:
        """What the exported network gets of `images`, fp32 and contiguous."""
        if self.normalise:
            return self.images.float().div(255).contiguous()
        return self.network.inputs(self.images).contiguous()

    @cached_property
    def logits(self) -> Tensor:
        """The logits of the network itself in PyTorch, in fp32 on the CPU."""
        module, batches = self.network.module, torch.split(self.images, BATCH)
        with torch.inference_mode():
            return torch.cat([module(self.network.inputs(each)) for each in batches])

    @cached_property
    def onnx(self) -> bytes:
        """The network as an ONNX file, traced once for all formats that start from it."""
        return tracing.traced(self.network, self.normalise, self.properties)

    @property
    def properties(self) -> dict[str, Any]:
        """What a file can say of its inputs and outputs."""
        normalisation = self.network.normalisation
        return {
            "description": self.description,
            "dataset": self.dataset,
            "class_names": list(self.class_names),
            "image_size": self.network.signature.image_size,
            "mean": list(normalisation.mean),
            "std": list(normalisation.std),
            "normalised_inside": self.normalise,
        }
