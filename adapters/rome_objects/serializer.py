"""Objects as JSON and msgpack, and in the messages of oslo.messaging.

In messages, objects are found in arguments and results, in lists and dictionaries, too. Values that JSON can't express
(datetimes, dates, decimals, UUIDs, bytes) are tagged with their type, so that a call by RPC gets what a direct call
gets. A pinned object (`[upgrade_levels] objects`) is sent in its pinned version. An object that is too new for the
receiver is backported by its conductor.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgpack
from oslo_versionedobjects.base import VersionedObject, VersionedObjectSerializer, obj_tree_get_versions

from rome_objects import registry
from rome_objects.errors import InvalidPrimitive, NewerVersion
from rome_objects.values.codec import MAX_ITEMS
from rome_objects.values.types import MAX_DEPTH
from rome_objects.versioned import VersionedBase

_TAG = "rome_objects.type"

_ENCODERS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    dt.datetime: ("datetime", dt.datetime.isoformat),
    dt.date: ("date", dt.date.isoformat),
    decimal.Decimal: ("decimal", str),
    uuid.UUID: ("uuid", str),
    bytes: ("bytes", lambda value: base64.b64encode(value).decode()),
}
_DECODERS: dict[str, Callable[[Any], Any]] = {
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "decimal": decimal.Decimal,
    "uuid": uuid.UUID,
    "bytes": base64.b64decode,
}

_pins: dict[str, str] = {}


def to_json(obj: VersionedObject, target_version: str | None = None) -> str:
    """Return an object as JSON, for a process that knows `target_version`."""
    return json.dumps(obj.obj_to_primitive(target_version), separators=(",", ":"))


def from_json(text: str | bytes, context: Any = None) -> VersionedObject:
    """Return the object of a text in JSON. Raise InvalidPrimitive."""
    return _load(json.loads, text, context)


def to_msgpack(obj: VersionedObject, target_version: str | None = None) -> bytes:
    """Return an object as msgpack, for a process that knows `target_version`."""
    return bytes(msgpack.packb(obj.obj_to_primitive(target_version)))


def from_msgpack(data: bytes, context: Any = None) -> VersionedObject:
    """Return the object of bytes in msgpack. Raise InvalidPrimitive."""
    return _load(msgpack.unpackb, data, context)


def pin(versions: Mapping[str, str]) -> None:
    """Send these objects in these versions, for processes of an older release. Raise the errors of a registry."""
    for name, version in versions.items():
        registry.class_for(name, version)
    _pins.clear()
    _pins.update(versions)


class Serializer(VersionedObjectSerializer):
    """Turns objects into primitives for oslo.messaging, and back.

    `asks_conductor` is false in a conductor: it raises NewerVersion for an object that is too new, and asks no other.
    """

    OBJ_BASE_CLASS = VersionedBase

    def __init__(self, asks_conductor: bool = True) -> None:
        super().__init__()
        self._asks_conductor = asks_conductor

    def serialize_entity(self, context: Any, entity: Any) -> Any:
        """Return the primitive of an argument or result."""
        if isinstance(entity, VersionedObject):
            return self._primitive(entity)
        encoder = _ENCODERS.get(type(entity))
        if encoder:
            name, encode = encoder
            return {_TAG: name, "value": encode(entity)}
        return super().serialize_entity(context, entity)

    def deserialize_entity(self, context: Any, entity: Any, depth: int = 0) -> Any:
        """Return an argument or result. Raise InvalidPrimitive if it is too deep, too long or malformed."""
        if isinstance(entity, dict):
            reader = registry.reader_of(entity)
            if reader is not None:
                return self._read(reader, context, entity)
            if _TAG in entity:
                return _untag(entity)
        elif not isinstance(entity, list | tuple | set):
            return entity
        if depth > MAX_DEPTH or len(entity) > MAX_ITEMS:
            raise InvalidPrimitive(objname="a message", reason="it is too deep, or has too many items")

        def deeper(context: Any, item: Any) -> Any:
            return self.deserialize_entity(context, item, depth + 1)

        return self._process_iterable(context, deeper, entity)

    def serialize_context(self, context: Any) -> dict[str, Any]:
        """Return a context as a dictionary."""
        if context is None:
            return {}
        return dict(context if isinstance(context, Mapping) else context.to_dict())

    def deserialize_context(self, context: dict[str, Any]) -> Any:
        """Return the context of a call: the dictionary itself. A subclass may make an object of it."""
        return context

    def _read(self, reader: type[VersionedObject], context: Any, primitive: dict[str, Any]) -> Any:
        """Return an object of a message. If it is too new for this process, a conductor backports it."""
        try:
            return reader.obj_from_primitive(primitive, context)
        except NewerVersion:
            conductor = reader.indirection_api if self._asks_conductor else None
            if conductor is None:
                raise
            name = primitive[reader._obj_primitive_key("name")]
            return conductor.object_backport_versions(context, primitive, obj_tree_get_versions(name))  # type: ignore[arg-type]

    def _primitive(self, obj: VersionedObject) -> dict[str, Any]:
        if not _pins:
            return obj.obj_to_primitive()
        # A manifest has the versions of all objects in the tree, so that nested ones are backported as well.
        manifest = {name: _pins.get(name, version) for name, version in obj_tree_get_versions(obj.obj_name()).items()}
        pinned = manifest[obj.obj_name()]
        if registry.version_tuple(pinned) > registry.version_tuple(obj.VERSION):
            pinned = obj.VERSION
        return obj.obj_to_primitive(pinned, version_manifest=manifest)


def _load(load: Callable[[Any], Any], data: Any, context: Any) -> VersionedObject:
    try:
        primitive = load(data)
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise InvalidPrimitive(objname="an object", reason=str(error)) from error
    reader = (registry.reader_of(primitive) if isinstance(primitive, dict) else None) or VersionedBase
    return reader.obj_from_primitive(primitive, context)


def _untag(entity: dict[str, Any]) -> Any:
    try:
        return _DECODERS[entity[_TAG]](entity["value"])
    except (KeyError, ValueError, TypeError, ArithmeticError) as error:
        raise InvalidPrimitive(objname="a message", reason=f"{entity[_TAG]} has no valid value") from error
