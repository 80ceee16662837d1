"""The registered classes: only these can be created from a primitive. And the fingerprint of a class.

The classes are kept in oslo.versionedobjects' registry, by name and version, the newest version first, so its tools
find them. A fingerprint covers what other processes see of a class: its fields and its remotable methods. If a class
changes and its VERSION does not, `rome_objects.testing.check_fingerprints` fails.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

from oslo_utils import versionutils
from oslo_versionedobjects.base import VersionedObject, VersionedObjectRegistry

from rome_objects.errors import DuplicateObject, NewerVersion, OtherMajorVersion, UnknownObject

_namespaces: dict[str, dict[str, type[VersionedObject]]] = {}
"""Namespace of serialized objects → namespace of a project → a class that has both."""


def register(cls: type[VersionedObject]) -> None:
    """Register a class under its name and version. Raise DuplicateObject if another class has both."""
    for other in known(cls.obj_name()):
        if other.VERSION == cls.VERSION and _place(other) != _place(cls):
            raise DuplicateObject(objname=cls.obj_name(), version=cls.VERSION, first=_place(other), second=_place(cls))
    VersionedObjectRegistry.register(cls)
    remember_namespace(cls)


def remember_namespace(cls: type[VersionedObject]) -> None:
    """Let primitives in the namespaces of a class be read."""
    _namespaces.setdefault(cls.OBJ_SERIAL_NAMESPACE, {}).setdefault(cls.OBJ_PROJECT_NAMESPACE, cls)


def reader_of(primitive: Mapping[str, Any]) -> type[VersionedObject] | None:
    """Return a class whose namespaces a dictionary has, to read it as an object; None if it is no object."""
    for namespace, classes in _namespaces.items():
        if f"{namespace}.name" in primitive:
            project = primitive.get(f"{namespace}.namespace")
            found = classes.get(project) if isinstance(project, str) else None
            return found or next(iter(classes.values()))
    return None


def known(name: str) -> list[type[VersionedObject]]:
    """Return the classes of this name, the newest version first; an empty list if there are none."""
    return VersionedObjectRegistry.obj_classes().get(name, [])


def classes_of(name: str) -> list[type[VersionedObject]]:
    """Return the classes of this name, the newest version first. Raise UnknownObject if there are none."""
    classes = known(name)
    if not classes:
        raise UnknownObject(objtype=name)
    return classes


def name_of(target: str | type[VersionedObject]) -> str:
    """Return the name of a class that is given as its name or as itself."""
    return target if isinstance(target, str) else target.obj_name()


def class_for(name: str, version: str) -> type[VersionedObject]:
    """Return the class for a primitive: the one of its version, or else the newest of its major version.

    Raise UnknownObject, NewerVersion or OtherMajorVersion if no class can read it.
    """
    classes = classes_of(name)
    for cls in classes:
        if version == cls.VERSION:
            return cls
    wanted = version_tuple(version)
    known = [cls for cls in classes if version_tuple(cls.VERSION)[0] == wanted[0]]
    if not known:
        raise OtherMajorVersion(objname=name, objver=version, supported=classes[0].VERSION)
    newest = known[0]
    if version_tuple(newest.VERSION)[:2] < wanted[:2]:
        raise NewerVersion(objname=name, objver=version, supported=newest.VERSION)
    return newest


def version_tuple(version: str) -> tuple[int, ...]:
    """Return a version as numbers.

    >>> version_tuple("1.10") > version_tuple("1.9")
    True
    """
    return tuple(versionutils.convert_version_to_tuple(version))


def is_compatible(version: str, other: str) -> bool:
    """Return whether two versions differ at most in the third number, which counts backports to a stable branch."""
    return version_tuple(version)[:2] == version_tuple(other)[:2]


def fingerprint(cls: type[VersionedObject]) -> str:
    """Return a digest of the fields and remotable methods of a class."""
    parts = [f"field {name}: {type(field).__name__} {field!r}" for name, field in sorted(cls.fields.items())]
    for name in dir(cls):
        method = inspect.getattr_static(cls, name)
        method = getattr(method, "remote", method)  # a name that is a field of dicts too, see dicts.py
        method = getattr(method, "__func__", method)
        if getattr(method, "remotable", False):
            parts.append(f"method {name}{_parameters(method.original_fn)}")
    versions = getattr(cls, "child_versions", {})
    parts += [f"child {parent}: {child}" for parent, child in sorted(versions.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _parameters(function: Any) -> str:
    """Return the parameters of a function without annotations, whose text depends on the version of Python."""
    signature = inspect.signature(function)
    bare = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=signature.empty))


def _place(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
