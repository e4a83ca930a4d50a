"""OpenVINO's intermediate representation."""

import tempfile
from pathlib import Path

import torch
from torch import Tensor

from core.errors import InputError, one_line
from core.export.checking import checked
from core.export.extras import imported
from core.export.formats.made import Made
from core.export.subject import Subject

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
"""OpenVINO computes in bf16 by itself where the processor has it."""


def make(subject: Subject, name: str) -> Made:
    """Convert the ONNX file and run the result on the CPU, in fp32; inputs are as in ONNX.

    Raises InputError as `traced` and `checked` do.
    """
    openvino = imported("openvino")
    core = openvino.Core()
    onnx = subject.onnx
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.xml"
            openvino.save_model(core.read_model(onnx), path, compress_to_fp16=False)
            files = {
                f"{name}{suffix}": path.with_suffix(suffix).read_bytes()
                for suffix in (".xml", ".bin")
            }
            compiled = core.compile_model(core.read_model(path), "CPU", EXACT)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"OpenVINO cannot convert the network ({one_line(error)[:300]}): choose another format."
        ) from error

    def run(inputs: Tensor) -> Tensor:
        return torch.from_numpy(compiled(inputs.numpy())[0].copy())

    return Made(files, checked(run, subject, "OpenVINO"))
