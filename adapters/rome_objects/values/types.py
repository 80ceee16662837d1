"""The types of strict fields: each accepts only the values of its Python classes, and knows their form on the wire."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from oslo_versionedobjects.fields import FieldType

from rome_objects.values.mutable import snapshot

MAX_DEPTH = 32
"""How deep a JSON value, or a primitive of nested objects, may be."""


class StrictType(FieldType[Any]):
    """A type that accepts only the values of its Python classes.

    `accepted` are these classes. If `same_on_wire` is true, a value is its own primitive.
    """

    accepted: ClassVar[tuple[type, ...]] = ()
    same_on_wire: ClassVar[bool] = False

    def coerce(self, obj: Any, attr: str, value: Any) -> Any:
        """Return the value. Raise ValueError if it has another type, or is out of range."""
        if type(value) not in self.accepted and (isinstance(value, bool) or not isinstance(value, self.accepted)):
            raise ValueError(f"field {attr} takes {self.expectation()}, not {_shorten(value)}")
        return self.check(attr, value)

    def check(self, attr: str, value: Any) -> Any:
        """Return a value of an accepted type, normalized. Raise ValueError if it is out of range."""
        return value

    def decode(self, value: Any) -> Any:
        """Return the value of a primitive. Raise ValueError or TypeError if it has none."""
        return value

    def from_primitive(self, obj: Any, attr: str, value: Any) -> Any:
        """Return the value of a primitive. Raise ValueError if it is not one of this type."""
        if not self.same_on_wire:
            try:
                value = self.decode(value)
            except (ValueError, TypeError, KeyError, ArithmeticError) as error:
                raise ValueError(f"field {attr} takes {self.expectation()}, not {_shorten(value)}") from error
        return self.coerce(obj, attr, value)

    def expectation(self) -> str:
        """Return what the type accepts, in words."""
        return " or ".join(accepted.__name__ for accepted in self.accepted)

    def parameters(self) -> tuple[Any, ...]:
        """Return what distinguishes this type from others of its class. It is part of an object's fingerprint."""
        return ()


class Integer(StrictType):
    """int, within a range."""

    accepted = (int,)
    same_on_wire = True

    def __init__(self, minimum: int = -(2**63), maximum: int = 2**63 - 1) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def coerce(self, obj: Any, attr: str, value: Any) -> int:
        """Return the value. Raise ValueError if it is no int, or out of range."""
        if type(value) is not int:
            value = super().coerce(obj, attr, value)
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"field {attr} takes {self.minimum} to {self.maximum}, not {value}")
        return int(value)

    def parameters(self) -> tuple[Any, ...]:
        """Return the range."""
        return (self.minimum, self.maximum)


class Float(StrictType):
    """float. An int is converted."""

    accepted = (float, int)
    same_on_wire = True

    def check(self, attr: str, value: Any) -> float:
        """Return the value as a float."""
        return float(value)


class Boolean(StrictType):
    """bool."""

    accepted = (bool,)
    same_on_wire = True


class Text(StrictType):
    """str, at most `length` characters."""

    accepted = (str,)
    same_on_wire = True

    def __init__(self, length: int | None = None) -> None:
        self.length = length

    def check(self, attr: str, value: str) -> str:
        """Return the value. Raise ValueError if it is too long."""
        _check_length(attr, value, self.length)
        return value

    def parameters(self) -> tuple[Any, ...]:
        """Return the length."""
        return (self.length,)


class Binary(StrictType):
    """bytes, at most `length` of them."""

    accepted = (bytes,)

    def __init__(self, length: int | None = None) -> None:
        self.length = length

    def check(self, attr: str, value: bytes) -> bytes:
        """Return the value. Raise ValueError if it is too long."""
        _check_length(attr, value, self.length)
        return value

    def to_primitive(self, obj: Any, attr: str, value: bytes) -> str:
        """Return the value in base64."""
        return base64.b64encode(value).decode()

    def decode(self, value: Any) -> bytes:
        """Return the bytes of a text in base64."""
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise ValueError(str(error)) from error

    def parameters(self) -> tuple[Any, ...]:
        """Return the length."""
        return (self.length,)


class Decimal(StrictType):
    """decimal.Decimal. An int is converted."""

    accepted = (decimal.Decimal, int)

    def check(self, attr: str, value: Any) -> decimal.Decimal:
        """Return the value as a Decimal."""
        return decimal.Decimal(value)

    def to_primitive(self, obj: Any, attr: str, value: decimal.Decimal) -> str:
        """Return the value as text, which keeps its precision."""
        return str(value)

    def decode(self, value: Any) -> decimal.Decimal:
        """Return the number in a text."""
        if not isinstance(value, str):
            raise TypeError("not text")
        return decimal.Decimal(value)


class _ISOType(StrictType):
    """A type of the module datetime, which ISO 8601 expresses on the wire."""

    def to_primitive(self, obj: Any, attr: str, value: Any) -> str:
        """Return the value in ISO 8601."""
        return str(value.isoformat())

    def decode(self, value: Any) -> Any:
        """Return the value of a text in ISO 8601."""
        return self.accepted[0].fromisoformat(value)  # type: ignore[attr-defined]


class DateTime(_ISOType):
    """datetime with a time zone, converted to UTC."""

    accepted = (dt.datetime,)

    def check(self, attr: str, value: dt.datetime) -> dt.datetime:
        """Return the value in UTC. Raise ValueError if it has no time zone."""
        zone = value.tzinfo
        if zone is dt.UTC:
            return value
        if zone is None or value.utcoffset() is None:
            raise ValueError(f"field {attr} takes a datetime with a time zone, and {value} has none")
        return value.astimezone(dt.UTC)


class Date(_ISOType):
    """datetime.date."""

    accepted = (dt.date,)

    def check(self, attr: str, value: dt.date) -> dt.date:
        """Return the value. Raise ValueError for a datetime, which is a date for Python."""
        if isinstance(value, dt.datetime):
            raise ValueError(f"field {attr} takes a date, not the datetime {value}")
        return value


class Time(_ISOType):
    """datetime.time."""

    accepted = (dt.time,)


class Enum(StrictType):
    """One of some texts, or a member of an enum class."""

    def __init__(self, members: Sequence[str] | type[enum.Enum]) -> None:
        self.enum = members if isinstance(members, type) else None
        self.members = tuple(members.__members__ if isinstance(members, type) else members)

    def coerce(self, obj: Any, attr: str, value: Any) -> Any:
        """Return the value. Raise ValueError if it is not a member."""
        if isinstance(value, self.enum) if self.enum else isinstance(value, str) and value in self.members:
            return value
        raise ValueError(f"field {attr} takes {self.expectation()}, not {_shorten(value)}")

    def to_primitive(self, obj: Any, attr: str, value: Any) -> str:
        """Return the text, or the name of the member."""
        return str(value.name if self.enum else value)

    def decode(self, value: Any) -> Any:
        """Return the member of this name."""
        return self.enum[value] if self.enum else value

    def expectation(self) -> str:
        """Return the members."""
        return f"one of {', '.join(self.members)}"

    def parameters(self) -> tuple[Any, ...]:
        """Return the members."""
        return self.members


class UUID(StrictType):
    """uuid.UUID."""

    accepted = (uuid.UUID,)

    def to_primitive(self, obj: Any, attr: str, value: uuid.UUID) -> str:
        """Return the UUID as text."""
        return str(value)

    def decode(self, value: Any) -> uuid.UUID:
        """Return the UUID of a text."""
        if not isinstance(value, str):
            raise TypeError("not text")
        return uuid.UUID(value)


class JSON(StrictType):
    """A value that JSON can express: None, bool, int, float, str, and lists and dicts of them."""

    def coerce(self, obj: Any, attr: str, value: Any) -> Any:
        """Return the value. Raise ValueError if JSON can't express it, or it is nested too deeply."""
        _check_json(attr, value, MAX_DEPTH)
        return value

    def to_primitive(self, obj: Any, attr: str, value: Any) -> Any:
        """Return a copy, which does not change with the object."""
        return snapshot(value)


def _check_length(attr: str, value: str | bytes, length: int | None) -> None:
    if length is not None and len(value) > length:
        raise ValueError(f"field {attr} takes at most {length} characters or bytes, not {len(value)}")


def _check_json(attr: str, value: Any, depth: int) -> None:
    if depth < 0:
        raise ValueError(f"field {attr} takes JSON of at most {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"field {attr} takes JSON, and the key {_shorten(key)} is no text")
            _check_json(attr, item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check_json(attr, item, depth - 1)
    elif value is not None and not isinstance(value, str | int | float):
        raise ValueError(f"field {attr} takes JSON, which can't express {_shorten(value)}")


def _shorten(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '…'}"
