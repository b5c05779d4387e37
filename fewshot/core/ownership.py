"""Whether our packages are ours: `evals` and `prompts` are names of other people's distributions, too.

Such a distribution may hide our package, or write its files over ours; uninstalling it then takes ours away.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from collections.abc import Iterator
from importlib.metadata import Distribution, PackagePath, distributions
from pathlib import Path

OURS = "fewshot"
PACKAGES = ("fewshot", "evals", "icl", "classic", "prompts")
_AGAIN = "install fewshot again"


def faults() -> dict[str, str]:
    """What is wrong with packages of ours, by their name; empty where all are whole and nobody else's.

    Nothing is imported: it is told where Python finds them, which distributions wrote their files, and whether the
    files are those that were installed.
    """
    installed = list(distributions())
    found = {name: _fault(name, installed) for name in PACKAGES}
    return {name: fault for name, fault in found.items() if fault is not None}


def _fault(package: str, installed: list[Distribution]) -> str | None:
    for each in installed:
        if each.name != OURS and any(_is_module(path, package) for path in _recorded(each)):
            return (
                f"the package {package!r} here belongs to the distribution '{each.name} {each.version}', not to "
                f"fewshot: pip uninstall {each.name} and {_AGAIN}"
            )
    home = Path(__file__).resolve().parents[2]
    found = importlib.util.find_spec(package)
    origin = Path(found.origin).resolve() if found and found.origin else None
    if origin is not None and origin.parent.parent != home:
        return f"the package {package!r} in {origin.parent} hides that of fewshot in {home}: rename or remove it"
    ours = [path for each in installed if each.name == OURS for path in each.files or () if path.hash]
    # A folder may stand twice on the path of modules.
    damaged = list(dict.fromkeys(str(path) for path in ours if _is_module(str(path), package) and not _is_whole(path)))
    if damaged or origin is None:
        told = (
            f"{len(damaged)} of its files are not those that were installed, as {damaged[0]}" if damaged else "missing"
        )
        return f"the package {package!r} of fewshot is damaged ({told}): {_AGAIN}"
    return None


def _recorded(distribution: Distribution) -> Iterator[str]:
    """Paths of the files that a distribution wrote, as its record spells them. Not parsed: records are long."""
    for name in ("RECORD", "installed-files.txt"):
        yield from (distribution.read_text(name) or "").splitlines()


def _is_module(path: str, package: str) -> bool:
    return path.startswith(f"{package}/") and path.partition(",")[0].endswith(".py")


def _is_whole(path: PackagePath) -> bool:
    assert path.hash is not None
    try:
        content = Path(str(path.locate())).read_bytes()
    except OSError:
        return False
    found = base64.urlsafe_b64encode(hashlib.new(path.hash.mode, content).digest()).rstrip(b"=").decode()
    return found == path.hash.value
