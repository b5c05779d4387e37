"""Where tensors live and how precise they are."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fewshot.core.errors import ModelUnavailable, UsageError, unknown_name

DTYPES = ("float32", "bfloat16", "float16")


def resolve_device(device: str = "auto") -> str:
    """A torch device name. "auto" is the first of cuda, mps and cpu that this machine has.

    Raises:
        UsageError: not a device name.
        ModelUnavailable: a device that this machine, or this build of torch, does not have.
    """
    import torch

    has = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, available in has.items() if available)
    try:
        parsed = torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"--device {device} is no device. Use auto, cpu, cuda, cuda:0 or mps") from error
    if parsed.type not in has:
        raise unknown_name("device", device, ["auto", *has])
    if not has[parsed.type]:
        raise ModelUnavailable(f"--device {device} is not available here. Use --device auto or --device cpu")
    if parsed.type == "cuda" and (parsed.index or 0) >= torch.cuda.device_count():
        raise ModelUnavailable(f"--device {device}: this machine has {torch.cuda.device_count()} GPUs, counted from 0")
    return device


def resolve_dtype(dtype: str = "auto", device: str = "cpu") -> str:
    """The name of the dtype to compute in.

    "auto" is bfloat16 where the hardware is much faster with it (CUDA from Ampere on, CPUs with AMX), else float32.

    Args:
        dtype: "auto", "float32", "bfloat16" or "float16".
        device: a resolved device name.
    """

    if dtype != "auto":
        if dtype not in DTYPES:
            raise unknown_name("dtype", dtype, ["auto", *DTYPES])
        return dtype
    fast = multiplies_bfloat16(device) and (device != "cpu" or has_amx())
    return "bfloat16" if fast else "float32"


def multiplies_bfloat16(device: str) -> bool:
    """Whether the hardware multiplies bfloat16, at whatever speed; without it torch emulates it, which is slow.

    Args:
        device: a resolved device name.
    """
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and (has_amx() or not _cpu_flags().isdisjoint(("avx512_bf16", "bf16")))


def describe_devices() -> str:
    """What there is to compute on, in one line for people."""
    import torch

    device = resolve_device()
    name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    return f"{device} ({name}), {resolve_dtype(device=device)}"


def has_amx() -> bool:
    """Whether the CPU has matrix units for bfloat16 (AMX). Known on Linux only."""
    return "amx_bf16" in _cpu_flags()


@cache
def _cpu_flags() -> frozenset[str]:
    """What the CPU can do, in the words of Linux; empty elsewhere."""
    try:
        return frozenset(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split())
    except OSError:
        return frozenset()
