"""Where the files of the repository are: beside the tests; those of packages wherever these are imported from.

So the tests of an sdist can be run with an installed wheel, without the packages beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_PACKAGES = {"rome": "rome", "adapters/rome_discovery": "rome_discovery", "adapters/rome_objects": "rome_objects"}
"""By folder of the repository: the package that it is."""


def place_of(name: str) -> Path:
    """Return the path of a file or folder that is named as in the repository: `rome/errors.py`."""
    for folder, package in _PACKAGES.items():
        if name == folder or name.startswith(f"{folder}/"):
            return folder_of(package) / name.removeprefix(folder).removeprefix("/")
    return ROOT / name


def folder_of(package: str) -> Path:
    """Return the folder that a package is imported from."""
    spec = find_spec(package)
    assert spec is not None, package
    assert spec.origin is not None, package
    return Path(spec.origin).resolve().parent


def modules_of(*folders: str) -> Iterator[tuple[str, Path]]:
    """Yield the name in the repository, and the path, of each module in some folders of packages; in all of them."""
    for folder in folders or _PACKAGES:
        place = place_of(folder)
        for path in sorted(place.rglob("*.py")):
            yield f"{folder}/{path.relative_to(place).as_posix()}", path
