"""Which device computes, and in which precision."""

import torch

from core.errors import InputError

PRECISIONS = ("auto", "fp32", "bf16")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def best_device() -> torch.device:
    """CUDA, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def has_native_bf16(device: torch.device) -> bool:
    """Whether bf16 runs on the device's own units, and so faster than fp32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    if not hasattr(torch.cpu, "get_capabilities"):  # older than PyTorch 2.12
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def resolve_precision(precision: str, device: torch.device) -> str:
    """`auto` becomes bf16 where it is native, else fp32. Raises InputError for other words."""
    if precision not in PRECISIONS:
        raise InputError(
            f"There is no precision {precision!r}: choose one of {', '.join(PRECISIONS)}."
        )
    if precision != "auto":
        return precision
    return "bf16" if has_native_bf16(device) else "fp32"
