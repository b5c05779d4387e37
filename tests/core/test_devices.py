from __future__ import annotations

import pytest

from fewshot.core import devices
from fewshot.core.devices import multiplies_bfloat16, resolve_device, resolve_dtype
from fewshot.core.errors import ModelUnavailable, UsageError


@pytest.mark.parametrize(("amx", "dtype"), [(True, "bfloat16"), (False, "float32")], ids=["AMX", "no AMX"])
def test_the_dtype_of_a_cpu_follows_its_matrix_units(amx: bool, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "has_amx", lambda: amx)
    assert resolve_dtype("auto", "cpu") == dtype
    assert resolve_dtype("float32", "cpu") == "float32"


@pytest.mark.parametrize(
    ("flags", "device", "able", "dtype"),
    [
        ("fpu avx2 avx512_bf16", "cpu", True, "float32"),
        ("fpu amx_bf16", "cpu", True, "bfloat16"),
        ("fp asimd bf16 i8mm", "cpu", True, "float32"),
        ("fpu avx2", "cpu", False, "float32"),
        ("", "cpu", False, "float32"),
        ("fpu avx512_bf16", "mps", False, "float32"),
    ],
)
def test_what_a_cpu_says_of_bfloat16(
    flags: str, device: str, able: bool, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_cpu_flags", lambda: frozenset(flags.split()))
    assert multiplies_bfloat16(device) == able
    assert resolve_dtype("auto", device) == dtype


@pytest.mark.parametrize("wrong", ["gpu", "meta", "float8"])
def test_unknown_names_are_refused(wrong: str) -> None:
    with pytest.raises(UsageError):
        resolve_device(wrong)
    with pytest.raises(UsageError):
        resolve_dtype(wrong)


@pytest.mark.promise(45)
def test_a_device_that_is_not_here_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ModelUnavailable, match="--device cuda is not available here"):
        resolve_device("cuda")
    assert resolve_device("cpu") == "cpu"
