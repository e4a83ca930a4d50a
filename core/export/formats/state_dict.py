"""A state_dict of PyTorch, with a Python file that builds the network and loads it."""

import io
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from core.errors import InputError
from core.export.formats.made import Made
from core.export.names import check_module_name
from core.export.subject import Subject
from core.networks.registry import build_on_meta, entry
from core.networks.source import Source

TAKE_SHAPES = """\
    for name, tensor in state.items():  # every layer takes the shapes of its stored tensors
        path, _, own = name.rpartition(".")
        layer = network.get_submodule(path)
        is_parameter = isinstance(getattr(layer, own), nn.Parameter)
        setattr(layer, own, nn.Parameter(tensor) if is_parameter else tensor)
"""


def make(subject: Subject, name: str) -> Made:
    """Write NAME.pt, in fp32, and NAME.py. Raises InputError for a name that hides a module."""
    network = subject.network
    known = entry(network.architecture)
    if known.source is None:
        raise InputError(
            f"{network.architecture} has no code to build it elsewhere: choose another format."
        )
    source = known.source(network.signature, **dict(network.architecture.settings))
    check_module_name(name, [line.split()[1].partition(".")[0] for line in source.imports])
    state = {each: tensor.cpu().clone() for each, tensor in network.tensors().items()}
    stored = io.BytesIO()
    torch.save(state, stored)
    stored.seek(0)
    read = torch.load(stored, weights_only=True)
    is_same = all(torch.equal(read[each], tensor) for each, tensor in state.items())
    if read.keys() != state.keys() or not is_same:
        raise InputError("Nothing was written: PyTorch does not read back what it saved.")
    code = python_file(subject, source)
    compile(code, f"{name}.py", "exec")
    return Made(
        {f"{name}.pt": stored.getvalue(), f"{name}.py": code.encode()},
        f"read back: {len(state)} tensors, equal to the bit.",
    )


def python_file(subject: Subject, source: Source) -> str:
    """Return the text of the Python file."""
    network, properties = subject.network, subject.properties
    size, colours = network.signature.image_size, len(network.normalisation.mean)
    constants = {
        "CLASSES": properties["class_names"],
        "IMAGE_SIZE": size,
        "MEAN": properties["mean"],
        "STD": properties["std"],
    }
    imports = ["import torch", "from torch import nn", *source.imports]
    parts = [
        f'"""{_plain(subject.description)}.\n\n'
        f"load() returns the network: (N, {colours}, {size}, {size}) float32 to logits "
        f"(N, {network.classes}).\nScale pixels to 0 to 1, then subtract MEAN and divide by STD, "
        'colour by colour.\n"""',
        "from pathlib import Path",
        "\n".join(imports),
        "\n".join(f"{name} = {value!r}" for name, value in constants.items() if value),
    ]
    loading = [
        'def load(file=Path(__file__).with_suffix(".pt")):',
        *(f"    {line}" for line in source.lines),
        "    state = torch.load(file, weights_only=True)",
        *_shape_lines(network.module, build_on_meta(network.signature)),
        "    network.load_state_dict(state)",
        "    return network.eval()",
    ]
    head = "\n\n".join(parts)
    return "\n\n\n".join([head, *source.definitions, "\n".join(loading)]) + "\n"


def _shape_lines(module: nn.Module, full: nn.Module) -> Iterator[str]:
    """Yield the lines that make the full network as narrow as the module, if it is narrower."""
    whole = {name: tensor.shape for name, tensor in full.state_dict().items()}
    if all(tensor.shape == whole[name] for name, tensor in module.state_dict().items()):
        return
    yield from TAKE_SHAPES.splitlines()
    for own in ("groups", "num_groups"):
        changed = {
            name: getattr(module.get_submodule(name), own)
            for name, layer in full.named_modules()
            if isinstance(layer, _ConvNd | nn.GroupNorm) and hasattr(layer, own)
            if getattr(module.get_submodule(name), own) != getattr(layer, own)
        }
        if changed:
            yield "    for name, number in {"
            yield from (f"        {name!r}: {number}," for name, number in changed.items())
            yield "    }.items():"
            yield f"        network.get_submodule(name).{own} = number"


def _plain(text: str) -> str:
    """Return a text that can stand in a docstring, in one line."""
    return " ".join(text.split()).replace("\\", "/").replace('"', "'")
