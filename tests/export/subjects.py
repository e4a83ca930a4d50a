"""Networks to export, and what tests do with exported files."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.data.normalisation import CIFAR10
from core.export.subject import Subject
from core.networks.fresh import Plan
from core.networks.network import Network
from core.networks.signature import Signature
from core.specs.architecture import Architecture
from tests.small_networks import Widths, random_network, randomise

LOADING = """
import runpy, sys, torch
try:
    import core
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("the project can be imported")
inputs, *files = sys.argv[1:]
x = torch.load(inputs, weights_only=True)
with torch.no_grad():
    torch.save([runpy.run_path(file)["load"]()(x) for file in files], inputs + ".logits")
"""


def narrow(architecture: Architecture, width: int = 8) -> Network:
    """A network of the registry, a few channels wide, with random weights and statistics."""
    network = Plan(Signature(architecture, 10, 32, CIFAR10), width).build(seed=0)
    randomise(network.module, seed=1)
    return network


def small_network(seed: int = 0) -> Network:
    """A ResNet-18 of 4 channels, which is quick to trace."""
    return random_network(Widths.regular(4), seed, image_size=8)


def subject(network: Network, normalise: bool = False) -> Subject:
    """What is exported, with as many made-up test images as can be told apart."""
    _, *shape = network.signature.example
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(256, (70, *shape), generator=generator, dtype=torch.uint8)
    labels = torch.randint(network.classes, (70,), generator=generator)
    names = tuple(f"class {number}" for number in range(network.classes))
    return Subject(network, "ResNet-18", "cifar10", names, {}, images, labels, normalise)


def write_all(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def run_elsewhere(files: list[Path], inputs: Tensor, folder: Path) -> list[Tensor]:
    """Load each generated Python file in a process without this project; return its logits."""
    path = folder / "inputs"
    torch.save(inputs.contiguous(), path)
    command = [sys.executable, "-I", "-c", LOADING, str(path), *map(str, files)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    logits: list[Tensor] = torch.load(f"{path}.logits", weights_only=True)
    return logits


def run_onnx(content: bytes, inputs: Tensor) -> Tensor:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: inputs.contiguous().numpy()})
    assert isinstance(logits, np.ndarray)
    return torch.from_numpy(logits)


def same_logits(first: Tensor, second: Tensor) -> bool:
    """Whether logits agree as far as fp32 goes, beside the largest of them."""
    return torch.allclose(first, second, rtol=0, atol=1e-4 * max(1.0, float(second.abs().max())))
