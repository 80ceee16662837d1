"""Values that change in place: JSON, lists and dictionaries.

A field is marked as changed when it is set. `server.metadata["k"] = 1` sets no field, so an object keeps a snapshot of
each such value from the time when it was read or saved, and compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oslo_versionedobjects.base import VersionedObject


def snapshot(value: Any) -> Any:
    """Return a copy of a value's dictionaries and lists. The objects in them are not copied.

    >>> snapshot({"a": [1]})
    {'a': [1]}
    """
    if isinstance(value, Mapping):
        return {key: snapshot(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [snapshot(item) for item in value]
    if isinstance(value, set | frozenset):
        return set(value)
    return value


def differs(value: Any, before: Any) -> bool:
    """Return whether a value is not what its snapshot is. True is not 1; an object is only itself.

    >>> differs({"a": True}, {"a": 1})
    True
    """
    if value is before:
        return False
    if isinstance(value, VersionedObject):
        return True
    if isinstance(value, Mapping):
        return (
            not isinstance(before, dict)
            or value.keys() != before.keys()
            or any(differs(item, before[key]) for key, item in value.items())
        )
    if isinstance(value, list | tuple):
        return not isinstance(before, list) or len(value) != len(before) or any(map(differs, value, before))
    if isinstance(value, set | frozenset):
        return bool(value != before)
    return type(value) is not type(before) or bool(value != before)
