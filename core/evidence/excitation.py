"""What a channel sees: the training images, and the places in them, that excite it most.

Zeiler, Fergus: "Visualizing and Understanding Convolutional Networks", 2014, show channels by such
images.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from core.device import DTYPES, best_device, resolve_precision
from core.errors import InputError
from core.networks.batch_norm import Recovering, calibration_batches, fold_batch_norms
from core.networks.network import Network


@dataclass(frozen=True)
class Excited:
    """One image that excites a channel, and the place in its map where it does so most."""

    image: int  # among those that were looked at
    value: float
    box: tuple[float, float, float, float] | None  # top, left, bottom, right, 0 to 1; of a map


@dataclass(frozen=True, eq=False)
class Excitations:
    """The largest output of each channel of a layer, over the places of each image."""

    peaks: Tensor  # float32 (images, channels), with batch-norm folded in, before an activation
    places: Tensor  # int64 (images, channels), the position in the flattened map
    map_size: tuple[int, int] | None  # height and width; None of a linear layer, which has no map

    def most(self, channel: int, count: int) -> list[Excited]:
        """Return the images that excite a channel most, the strongest first, ties by position."""
        order = self.peaks[:, channel].sort(descending=True, stable=True).indices[:count]
        return [
            Excited(
                image,
                float(self.peaks[image, channel]),
                self._box(int(self.places[image, channel])),
            )
            for image in order.tolist()
        ]

    def _box(self, place: int) -> tuple[float, float, float, float] | None:
        if self.map_size is None:
            return None
        height, width = self.map_size
        row, column = divmod(place, width)
        return row / height, column / width, (row + 1) / height, (column + 1) / width


def excitations(
    network: Network,
    layer: str,
    images: Tensor,
    precision: str = "auto",
    device: torch.device | None = None,
) -> Generator[Recovering, None, Excitations]:
    """Run images, uint8 (N, 3, H, W); yield progress, return what excites a layer's channels.

    The network is not modified. Of a layer that runs several times, the last run counts. Raises
    InputError for a layer that is not run by itself, once for each image, and KeyError for one
    that there is not.
    """
    device = device or best_device()
    dtype = DTYPES[resolve_precision(precision, device)]
    folded = fold_batch_norms(network).to(device, dtype)
    watched = network.layers[layer]
    seen: list[Tensor] = []

    def keep(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
        seen[:] = [_by_channel(watched, output.float())]

    folded.get_submodule(layer).register_forward_hook(keep)
    peaks, places = [], []
    map_size: tuple[int, int] | None = None
    done = 0
    for batch in calibration_batches(images, network.normalisation, device, dtype):
        seen.clear()
        with torch.inference_mode():
            folded(batch)
        if not seen or len(seen[0]) != len(batch):
            raise InputError(
                f"{layer} is not run by itself on whole images, so what it sees cannot be shown."
            )
        maps = seen[0]
        largest = maps.flatten(2).max(2)
        peaks.append(largest.values.cpu())
        places.append(largest.indices.cpu())
        if isinstance(watched, _ConvNd):
            map_size = (maps.shape[2], maps.shape[3])
        done += len(batch)
        yield Recovering(done, len(images))
    return Excitations(torch.cat(peaks), torch.cat(places), map_size)


def _by_channel(layer: nn.Module, output: Tensor) -> Tensor:
    """Return an output as (N, channels, height, width)."""
    if isinstance(layer, _ConvNd):
        return output.reshape(*output.shape[:2], -1, output.shape[-1])
    tokens = output.reshape(len(output), -1, output.shape[-1])  # channels come last
    return tokens.movedim(2, 1)[:, :, None]
