"""Strict fields. Unlike those of oslo.versionedobjects, they do not convert between types.

    IntegerField(minimum=…, maximum=…)   int, not bool; 64 bits by default
    FloatField()                         float or int
    BooleanField()                       bool
    StringField(length=…)                str
    BinaryField(length=…)                bytes; base64 on the wire
    DecimalField()                       decimal.Decimal; text on the wire
    DateTimeField()                      datetime with a time zone; kept in UTC; ISO 8601 on the wire
    DateField(), TimeField()             date, time without a time zone; ISO 8601 on the wire
    EnumField(values or enum class)      one of its members; a member of an enum class is its name on the wire
    UUIDField()                          uuid.UUID; text on the wire
    JSONField()                          what JSON can express
    ObjectField, ListOfObjectsField      nested objects, from oslo.versionedobjects

Other fields of oslo.versionedobjects can be mixed with them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from oslo_versionedobjects.fields import Field, ListOfObjectsField, ObjectField, UnspecifiedDefault

from rome_objects.values import types

__all__ = [
    "BinaryField",
    "BooleanField",
    "DateField",
    "DateTimeField",
    "DecimalField",
    "EnumField",
    "FloatField",
    "IntegerField",
    "JSONField",
    "ListOfObjectsField",
    "ObjectField",
    "StringField",
    "TimeField",
    "UUIDField",
]


class StrictField(Field[Any]):
    """A field of a strict type."""

    def __repr__(self) -> str:
        parameters = self._type.parameters() if isinstance(self._type, types.StrictType) else ()
        return f"{super().__repr__()}{list(parameters) or ''}"


class _AutoField(StrictField):
    """A field that makes its type of its first arguments."""

    strict_type: ClassVar[type[types.StrictType]]

    def __init__(
        self,
        *parameters: Any,
        nullable: bool = False,
        default: Any = UnspecifiedDefault,
        read_only: bool = False,
        **named: Any,
    ) -> None:
        super().__init__(self.strict_type(*parameters, **named), nullable, default, read_only)


class IntegerField(_AutoField):
    """int."""

    strict_type = types.Integer


class FloatField(_AutoField):
    """float."""

    strict_type = types.Float


class BooleanField(_AutoField):
    """bool."""

    strict_type = types.Boolean


class StringField(_AutoField):
    """str."""

    strict_type = types.Text


class BinaryField(_AutoField):
    """bytes."""

    strict_type = types.Binary


class DecimalField(_AutoField):
    """decimal.Decimal."""

    strict_type = types.Decimal


class DateTimeField(_AutoField):
    """datetime in UTC."""

    strict_type = types.DateTime


class DateField(_AutoField):
    """date."""

    strict_type = types.Date


class TimeField(_AutoField):
    """time."""

    strict_type = types.Time


class EnumField(_AutoField):
    """A member of an enum class, or one of some texts."""

    strict_type = types.Enum


class UUIDField(_AutoField):
    """uuid.UUID."""

    strict_type = types.UUID


class JSONField(_AutoField):
    """Any value that JSON can express."""

    strict_type = types.JSON
