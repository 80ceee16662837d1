"""Objects as dictionaries: `obj["name"]`, `items()`, `"name" in obj`, `get("name", default)`, `dict(obj)`."""

from __future__ import annotations

from typing import Any

from oslo_versionedobjects.base import VersionedObjectDictCompat


class ClassOrDict:
    """A name that is a method of a class and of its instances: `Server.get(context, 7)`, `server.get("name", "")`."""

    def __init__(self, remote: Any) -> None:
        self.remote = remote

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Return the bound method."""
        if instance is None:
            return self.remote.__get__(None, owner)
        return VersionedObjectDictCompat.get.__get__(instance, owner)
