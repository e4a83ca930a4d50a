"""The formats of exports, described once. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A format that a network can be exported to."""

    label: str
    extensions: tuple[str, ...]  # of its files; the first is that of the network itself
    sentence: str
    packages: tuple[str, ...] = ()  # optional ones, which it needs
    can_normalise: bool = False  # whether the normalisation can be part of the network


FORMATS: Mapping[str, Format] = {
    "safetensors": Format(
        "Checkpoint",
        (".safetensors",),
        "This explorer's own file: weights in half precision, with architecture and provenance.",
    ),
    "torch": Format(
        "PyTorch",
        (".pt", ".py"),
        "A state_dict in single precision, and a short Python file that builds the network and "
        "loads it without this explorer.",
    ),
    "onnx": Format(
        "ONNX",
        (".onnx",),
        "One file for ONNX Runtime, TensorRT and many others, for batches of any size, with "
        "batch-norm folded into the convolutions.",
        packages=("onnx", "onnxscript", "onnxruntime"),
        can_normalise=True,
    ),
    "openvino": Format(
        "OpenVINO",
        (".xml", ".bin"),
        "OpenVINO's intermediate representation, for processors and graphics of Intel.",
        packages=("onnx", "onnxscript", "openvino"),
        can_normalise=True,
    ),
}
