"""The module, or the class in a module, that an option names."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from rome_objects.errors import NotConfigured


def load(option: str, place: str, more: str = "") -> Any:
    """Return the module or the class `MODULE:CLASS` at a place. Raise NotConfigured, which names the option."""
    module, _, name = place.partition(":")
    try:
        found = importlib.import_module(module)
        return getattr(found, name) if name else found
    except (ImportError, AttributeError, ValueError) as error:
        raise NotConfigured(reason=f"{option} = {place}: {error}. It is a module or MODULE:CLASS{more}") from error


def load_class(option: str, place: str, base: type) -> Any:
    """Return the class at a place, or the only subclass of `base` that a module defines. Raise NotConfigured."""
    found = load(option, place)
    if isinstance(found, type):
        return found
    classes = subclasses_in(found, base)
    if len(classes) != 1:
        raise NotConfigured(
            reason=f"{option} = {place}: the module defines {len(classes)} subclasses of {base.__name__}: name one as "
            "MODULE:CLASS"
        )
    return classes[0]


def subclasses_in(module: ModuleType, base: type) -> list[Any]:
    """Return the subclasses of a class that a module defines, not those that it imports."""
    return [
        found
        for found in vars(module).values()
        if isinstance(found, type) and found is not base and issubclass(found, base)
        if found.__module__ == module.__name__
    ]
