"""Objects as primitives and back, by a table of each class.

oslo.versionedobjects asks each field and sets each attribute by a property. Here a class has a list of encoders and one
of decoders, and the values are read and written in the object's dictionary. A field whose value is its own primitive
has no encoder.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from oslo_versionedobjects.base import VersionedObject
from oslo_versionedobjects.fields import Field, FieldType, List, Object

from rome_objects.errors import InvalidPrimitive
from rome_objects.values.types import JSON, MAX_DEPTH, StrictType

MAX_ITEMS = 100_000
"""How many items a list in a primitive may have."""

_Encoder = Callable[[Any, str, Any], Any]

_nesting = threading.local()


class Codec:
    """The encoders and decoders of one class."""

    def __init__(self, cls: type[VersionedObject]) -> None:
        self.name = cls.obj_name()
        self.encoders = [(name, f"_obj_{name}", _encoder(field)) for name, field in cls.fields.items()]
        self.decoders = [(name, f"_obj_{name}", field.nullable, _decoder(field)) for name, field in cls.fields.items()]
        self.nested = [f"_obj_{name}" for name, field in cls.fields.items() if _is_nested(field)]
        """The attributes whose values are objects, or collections, which may contain some."""
        self.mutable = [f"_obj_{name}" for name, field in cls.fields.items() if _is_mutable(field)]
        """The attributes whose values can change in place."""

    def encode(self, obj: VersionedObject) -> dict[str, Any]:
        """Return the primitives of the fields that have a value."""
        values = obj.__dict__
        data = {}
        for name, attribute, encode in self.encoders:
            if attribute in values:
                value = values[attribute]
                data[name] = value if encode is None or value is None else encode(obj, name, value)
        return data

    def decode(self, obj: VersionedObject, data: Any) -> None:
        """Set the fields of an object. Raise InvalidPrimitive for a value of the wrong type."""
        if not isinstance(data, Mapping):
            raise InvalidPrimitive(objname=self.name, reason="its data is no dictionary")
        if not self.nested:
            self._decode_fields(obj, data)
            return
        depth = getattr(_nesting, "depth", 0)
        if depth > MAX_DEPTH:
            raise InvalidPrimitive(objname=self.name, reason=f"objects are nested in more than {MAX_DEPTH} levels")
        _nesting.depth = depth + 1
        try:
            self._decode_fields(obj, data)
        finally:
            _nesting.depth = depth

    def _decode_fields(self, obj: VersionedObject, data: Mapping[str, Any]) -> None:
        values = obj.__dict__
        for name, attribute, nullable, decode in self.decoders:
            if name not in data:
                continue
            value = data[name]
            if value is not None:
                try:
                    value = decode(obj, name, value)
                except InvalidPrimitive:
                    raise
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    raise InvalidPrimitive(objname=self.name, reason=str(error)) from error
            elif not nullable:
                raise InvalidPrimitive(objname=self.name, reason=f"field {name} can't be None")
            values[attribute] = value


def _encoder(field: Field[Any]) -> _Encoder | None:
    kind = field._type
    if isinstance(kind, StrictType):
        return None if kind.same_on_wire else kind.to_primitive
    if type(kind).to_primitive is FieldType.to_primitive and type(field).to_primitive is Field.to_primitive:
        return None
    return field.to_primitive


def _decoder(field: Field[Any]) -> _Encoder:
    kind = field._type
    if isinstance(kind, StrictType):
        return kind.coerce if kind.same_on_wire else kind.from_primitive

    def decode(obj: Any, name: str, value: Any) -> Any:
        if isinstance(kind, List) and (not isinstance(value, list) or len(value) > MAX_ITEMS):
            raise ValueError(f"field {name} takes a list of at most {MAX_ITEMS} items")
        return field.coerce(obj, name, field.from_primitive(obj, name, value))

    return decode


def _is_nested(field: Field[Any]) -> bool:
    return isinstance(field._type, Object) or hasattr(field._type, "_element_type")


def _is_mutable(field: Field[Any]) -> bool:
    return isinstance(field._type, JSON) or _is_nested(field)
