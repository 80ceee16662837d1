"""Helpers for the tests of a program that has objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oslo_versionedobjects.base import VersionedObject, VersionedObjectRegistry

from rome_objects.registry import fingerprint


def check_fingerprints(file: Path, module: str, update: bool = False) -> None:
    """Raise AssertionError if a class of these modules changed and its version did not.

    `file` is JSON, written with `update=True` and kept with the program: name → version → fingerprint. `module` is the
    package of the classes. A version that is in the file and not in the package any more is ignored.
    """
    known: dict[str, dict[str, str]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    found = [cls for cls in _classes() if f"{cls.__module__}.".startswith(f"{module}.")]
    changed = []
    for cls in found:
        versions = known.setdefault(cls.obj_name(), {})
        if versions.setdefault(cls.VERSION, fingerprint(cls)) != fingerprint(cls):
            changed.append(f"{cls.obj_name()} {cls.VERSION} has changed: increment its VERSION")
    if changed:
        raise AssertionError("; ".join(changed))
    if update:
        file.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return
    recorded = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    new = [f"{cls.obj_name()} {cls.VERSION}" for cls in found if cls.VERSION not in recorded.get(cls.obj_name(), {})]
    if new:
        raise AssertionError(f"{', '.join(new)} has no fingerprint in {file}: call check_fingerprints with update=True")


@contextmanager
def registered_for_now() -> Iterator[None]:
    """Forget the classes that are registered within."""
    classes = VersionedObjectRegistry.obj_classes()
    before = {name: list(versions) for name, versions in classes.items()}
    try:
        yield
    finally:
        classes.clear()
        classes.update(before)


def _classes() -> list[type[VersionedObject]]:
    return [cls for versions in VersionedObjectRegistry.obj_classes().values() for cls in versions]
