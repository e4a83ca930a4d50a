"""The formats, one file each: a function from a subject and a name to files and what was checked.

To add one, write such a function, add it to WRITERS, and describe it in core/export/vocabulary.py.
"""

from collections.abc import Callable, Mapping

from core.export.formats import checkpoint_file, onnx_file, openvino_file, state_dict
from core.export.formats.made import Made
from core.export.subject import Subject

WRITERS: Mapping[str, Callable[[Subject, str], Made]] = {
    "safetensors": checkpoint_file.make,
    "torch": state_dict.make,
    "onnx": onnx_file.make,
    "openvino": openvino_file.make,
}
