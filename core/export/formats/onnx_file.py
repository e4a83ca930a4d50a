"""ONNX."""

import torch
from torch import Tensor

from core.export.checking import checked
from core.export.extras import imported
from core.export.formats.made import Made
from core.export.subject import Subject
from core.export.tracing import INPUT


def make(subject: Subject, name: str) -> Made:
    """Write one ONNX file and run it in ONNX Runtime.

    Its input "images" is fp32 (N, colours, H, W): pixels from 0 to 1 if the subject's normalisation
    is inside, else normalised ones. Raises InputError as `traced` and `checked` do.
    """
    content = subject.onnx
    session = imported("onnxruntime").InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(inputs: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {INPUT: inputs.numpy()})[0])

    return Made({f"{name}.onnx": content}, checked(run, subject, "ONNX Runtime"))
