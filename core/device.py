"""Choosing the device and the precision, and naming the machine."""

import os
import platform
from pathlib import Path

import torch

from core.errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def best_device() -> torch.device:
    """Return the device for `auto`: CUDA, else Apple's MPS, else the CPU."""
    return resolve_device("auto")


def resolve_device(name: str) -> torch.device:
    """Return the device with this name, one of DEVICES.

    Choosing CUDA switches TF32 off for the whole process: PyTorch would otherwise round the inputs
    of fp32 convolutions to 10 bits. Raises InputError for an unknown name, or a device that PyTorch
    cannot use on this machine.
    """
    if name not in DEVICES:
        raise InputError(f"There is no device {name!r}: choose one of {', '.join(DEVICES)}.")
    usable = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(each for each, is_usable in usable.items() if is_usable)
    if not usable[name]:
        raise InputError(
            f"PyTorch cannot use the device {name} on this machine: choose cpu, or auto for the "
            "best there is."
        )
    if name == "cuda":
        # Use the older of PyTorch's two settings, which every supported version has.
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device(name)


def has_native_bf16(device: torch.device) -> bool:
    """Return whether the device has hardware support for bf16, so that it is faster than fp32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    if not hasattr(torch.cpu, "get_capabilities"):  # older than PyTorch 2.12
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def resolve_precision(precision: str, device: torch.device) -> str:
    """Resolve `auto` to bf16 if it is native, else fp32. Raises InputError for unknown names."""
    if precision not in PRECISIONS:
        raise InputError(
            f"There is no precision {precision!r}: choose one of {', '.join(PRECISIONS)}."
        )
    if precision != "auto":
        return precision
    return "bf16" if has_native_bf16(device) else "fp32"


def machine_name(device: torch.device) -> str:
    """Return the processor that a device computes on, such as "AMD EPYC, 2 cores"."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    cores = usable_cores()
    return f"{_processor()}, {cores} core{'s' if cores > 1 else ''}"


def usable_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    facts = {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    numbers = [facts[name] for name in ("CPU implementer", "CPU part") if name in facts]  # on ARM
    numbered = " ".join([platform.machine(), *numbers]) if numbers else ""
    names = (facts.get("model name"), numbered, platform.processor(), platform.machine())
    return next(filter(None, names), "processor")
