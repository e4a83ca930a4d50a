"""Benchmarks of evaluation: against a plain PyTorch loop, and against matrix products."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.benchmark import Measured
from benchmarks.material import TEST_IMAGES, network, operations_per_image, test_images
from benchmarks.timing import alternate, matrix_products, product_rate, speedup
from core.data.normalisation import CIFAR10
from core.device import DTYPES, best_device, has_native_bf16, resolve_precision
from core.measuring.evaluation import evaluate_fully

PLAIN_BATCH_SIZE = 128


def against_plain(repeats: int) -> Measured:
    """Compare with an fp32 evaluation through torchvision transforms and a DataLoader.

    The plain loop runs in its own process, because the memory settings of this process would speed
    it up too.
    """
    model, _ = network()
    images, labels = test_images()
    device = best_device()
    agreeing: list[int] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as plain_process:
        timings = alternate(
            {
                "core": lambda _: evaluate_fully(model, images, labels, device=device).predictions,
                "plain": lambda _: plain_process.submit(_plain_way).result(),
            },
            repeats,
            check=lambda found: agreeing.append(int((found["core"] == found["plain"]).sum())),
        )
    return Measured(
        speedup(timings, "core", "plain"),
        timings,
        note=f"{_images_per_second(timings['core']):.0f} beside "
        f"{_images_per_second(timings['plain']):.0f} images/s; "
        f"both predict alike on {agreeing[0]:,} of {TEST_IMAGES:,}",
        target_applies=has_native_bf16(device),
    )


def rate(repeats: int) -> Measured:
    """Measure operations per second of evaluation, as a fraction of those of matrix products."""
    model, _ = network()
    images, labels = test_images()
    device = best_device()
    dtype = DTYPES[resolve_precision("auto", device)]
    timings = alternate(
        {
            "core": lambda _: evaluate_fully(model, images, labels, device=device),
            **matrix_products(dtype, device),
        },
        repeats,
    )
    reached = _images_per_second(timings["core"]) * operations_per_image(model)
    possible = product_rate(timings)
    return Measured(
        reached / possible,
        timings,
        note=f"{reached / 1e9:.0f} of {possible / 1e9:.0f} GFLOP/s",
    )


class TorchvisionStyle(Dataset[tuple[Tensor, int]]):
    """Does the same as torchvision.datasets.CIFAR10, without the original archive."""

    def __init__(self, images: Tensor, labels: Tensor):
        self._arrays = images.permute(0, 2, 3, 1).contiguous().numpy()  # (N, 32, 32, 3)
        self._labels = labels.tolist()
        self._transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize(CIFAR10.mean, CIFAR10.std)]
        )

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._arrays[index])), self._labels[index]


def plain_predictions(
    model: nn.Module, dataset: Dataset[tuple[Tensor, int]], device: torch.device
) -> np.ndarray:
    """Run the usual evaluation loop; return predictions, int64 (N,)."""
    predictions = []
    with torch.no_grad():
        for images, _ in DataLoader(dataset, PLAIN_BATCH_SIZE, num_workers=0):
            predictions.append(model(images.to(device)).argmax(1).cpu())
    found: np.ndarray = torch.cat(predictions).numpy()
    return found


def _plain_way() -> np.ndarray:
    return plain_predictions(*_plain_material())


@lru_cache(maxsize=1)
def _plain_material() -> tuple[nn.Module, TorchvisionStyle, torch.device]:
    """Load network (fp32, contiguous), images and device, once in the warm-up round."""
    device = best_device()
    return network()[0].module.to(device), TorchvisionStyle(*test_images()), device


def _images_per_second(timings: list[float]) -> float:
    return TEST_IMAGES / median(timings)
