"""The install extras, and whether their packages are here. Nothing is imported to find out."""

from __future__ import annotations

import importlib.util
import sys

#: Extra -> the modules that its packages bring. The order is that in which they are shown.
EXTRAS: dict[str, tuple[str, ...]] = {
    "local": ("torch", "transformers", "sentence_transformers", "gguf", "accelerate", "sklearn"),
    "data": ("pyarrow", "datasets"),
    "report": ("altair", "vl_convert"),
    "frames": ("pandas", "polars"),
    "excel": ("openpyxl",),
    "images": ("PIL",),
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "prices": ("genai_prices",),
    "serve": ("fastapi", "uvicorn", "prometheus_client"),
    "peft": ("torch", "transformers", "sentence_transformers", "gguf", "accelerate", "sklearn", "peft"),
    "setfit": ("torch", "transformers", "sentence_transformers", "gguf", "accelerate", "sklearn", "setfit"),
    "transport": ("ot",),
    "ray": ("ray",),
    "tensorboard": ("torch", "tensorboard"),
    "mlflow": ("mlflow",),
}


def is_installed(extra: str) -> bool:
    """Whether every package of an extra is here. One that is not ours (a plugin's own) is not judged."""
    return not missing_modules(extra)


def missing_modules(extra: str) -> list[str]:
    """Modules of an extra that are not here."""
    return [module for module in EXTRAS.get(extra, ()) if not is_here(module)]


def is_here(module: str) -> bool:
    """Whether a module can be found."""
    if module in sys.modules:
        return sys.modules[module] is not None
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
