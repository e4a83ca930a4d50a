"""Trace a network into an ONNX file."""

import json
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from core import paths
from core.data.normalisation import Normalisation
from core.errors import InputError, one_line
from core.export.extras import imported
from core.networks.batch_norm import fold_batch_norms
from core.networks.network import Network

INPUT, OUTPUT = "images", "logits"
REFUSED = 2
"""The exit status of the process that traces, where its last line is for the user."""
LARGEST = 2**31
"""Bytes that one file can have; ONNX is a protocol buffer."""


class Normalising(nn.Module):
    """A network with its normalisation: pixels from 0 to 1, fp32 (N, colours, H, W), to logits."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, normalisation: Normalisation):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(normalisation.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(normalisation.std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits


def traced(network: Network, normalise: bool, properties: Mapping[str, Any]) -> bytes:
    """Return one self-contained ONNX file for batches of any size, with batch-norms folded.

    Raises InputError if a package is missing, if the network cannot be traced, or if it is larger
    than 2 GB.
    """
    module = fold_batch_norms(network).to("cpu", torch.float32)
    size = sum(tensor.nbytes for tensor in module.state_dict().values())
    if size >= LARGEST:
        raise InputError(
            f"The network has {size / 1e9:.1f} GB of weights, but an ONNX file holds at most 2 GB: "
            "choose another format."
        )
    if normalise:
        module = Normalising(module, network.normalisation).eval()
    return exported_elsewhere(module, network.signature.example, properties)


def exported_elsewhere(
    module: nn.Module, example: tuple[int, int, int, int], properties: Mapping[str, Any]
) -> bytes:
    """Run `exported` in a process of its own.

    While it traces, PyTorch replaces methods of `nn.Module` for the whole process, which would
    spoil what other threads prune or run meanwhile.
    """
    try:
        asked = pickle.dumps((module, example, dict(properties)))
    except (pickle.PicklingError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"The network cannot be handed to another process ({one_line(error)[:200]}): choose "
            "another format than ONNX."
        ) from error
    done = subprocess.run(
        [sys.executable, "-m", "core.export.tracing_process"],
        input=asked,
        capture_output=True,
        check=False,
        cwd=paths.ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    if done.returncode == 0:
        return done.stdout
    lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it was stopped"]
    if done.returncode == REFUSED:
        raise InputError(lines[-1])
    raise InputError(f"The network cannot be written as ONNX ({lines[-1][:300]}).")


def exported(
    module: nn.Module, example: tuple[int, int, int, int], properties: Mapping[str, Any]
) -> bytes:
    """Trace a module with a batch of two images of the shape of `example`; check the file."""
    onnx = imported("onnx")
    imported("onnxscript")
    _, *shape = example
    batch = torch.export.Dim("batch")
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of torch, on its own workings
            program = torch.onnx.export(
                module,
                (torch.zeros(2, *shape),),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: batch},),
                dynamo=True,
                verbose=False,
            )
            assert program is not None
            model = program.model_proto
            _strip(model.graph)
            onnx.helper.set_model_props(
                model, {name: json.dumps(value) for name, value in properties.items()}
            )
            onnx.checker.check_model(model, full_check=True)
            content: bytes = model.SerializeToString()
    except Exception as error:  # the exporter can raise anything
        raise InputError(
            f"The network cannot be written as ONNX ({one_line(error)[:300]}): choose another "
            "format."
        ) from error
    return content


def _strip(graph: Any) -> None:
    """Remove the exporter's notes, such as stack traces with the paths of this machine."""
    for each in (*graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        each.ClearField("metadata_props")
        each.ClearField("doc_string")
    graph.ClearField("metadata_props")
