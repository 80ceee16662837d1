"""Versioned objects: their classes, their fields, and their form on the wire in each version.

    class Server(Object):
        VERSION = "1.1"
        model = models.Server                  # a field for each column
        related = {"tags": "Tag"}              # relationships of the model → the objects they lead to, or their list
        excluded = ("internal",)               # columns without a field
        fields = {"flavor": JSONField()}       # fields by hand
        added = {"zone": "1.1"}                # a field → the version that added it
        renamed = {"title": ("name", "1.1")}   # a field → its old name, and the version that renamed it

A subclass is registered under its name. `class ServerV1(Object, name="Server")` sets another name; `abstract=True`
registers nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self

import sqlalchemy as sa
from oslo_versionedobjects import exception
from oslo_versionedobjects.base import ObjectListBase, VersionedObject
from oslo_versionedobjects.fields import Field
from sqlalchemy.orm import Mapper

from rome_objects import registry
from rome_objects.errors import DefinitionError, InvalidPrimitive, NotLoaded
from rome_objects.fields import ListOfObjectsField, ObjectField
from rome_objects.remoting import Indirection
from rome_objects.rows.mapping import fields_of
from rome_objects.rows.soft_deletion import SoftDeletion, soft_deletion_of
from rome_objects.values.changes import ChangeTracking
from rome_objects.values.codec import Codec

_METADATA = ("name", "namespace", "version", "data")


class VersionedBase(ChangeTracking):
    """A versioned object without a table: registered, strict, fast on the wire."""

    model: ClassVar[Any] = None
    related: ClassVar[Mapping[str, str | type[VersionedObject]]] = {}
    excluded: ClassVar[Collection[str]] = ()
    added: ClassVar[Mapping[str, str]] = {}
    renamed: ClassVar[Mapping[str, tuple[str, str]]] = {}

    indirection_api = Indirection()  # type: ignore[assignment]

    _name: ClassVar[str | None] = None
    _columns: ClassVar[Mapping[str, sa.Column[Any]]] = {}
    _table: ClassVar[sa.Table]
    _key: ClassVar[tuple[str, ...]] = ()
    _soft_deletion: ClassVar[SoftDeletion | None] = None

    def __init_subclass__(cls, name: str | None = None, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._name = name
        own: dict[str, Field[Any]] = dict(cls.__dict__.get("fields", {}))
        if cls.model is not None:
            cls._bind(own)
        if abstract:  # a subclass that is not registered has the properties of its bases
            for base in cls.__mro__[1:]:
                own = {**base.__dict__.get("fields", {}), **own}
        cls.fields = own
        if not abstract:
            cls._define()

    @classmethod
    def _define(cls) -> None:
        """Register the class. Subclasses add methods here that depend on its fields."""
        registry.register(cls)
        cls._codec = Codec(cls)
        unknown = [name for name in (*cls.added, *cls.renamed) if name not in cls.fields]
        if unknown:
            raise DefinitionError(objname=cls.obj_name(), reason=f"`added` or `renamed` has no field: {unknown}")

    @classmethod
    def _bind(cls, own: dict[str, Field[Any]]) -> None:
        """Derive fields from the model, in addition to those of the class and its bases."""
        mapper: Mapper[Any] = sa.inspect(cls.model)
        table = mapper.local_table
        if not isinstance(table, sa.Table) or mapper.inherits is not None:
            raise DefinitionError(objname=cls.obj_name(), reason="its model is not mapped to one table")
        inherited = {name for base in cls.__mro__[1:] for name in getattr(base, "fields", ())}
        declared = {*own, *inherited, *cls.excluded}
        own.update(fields_of(cls.obj_name(), mapper, declared))
        cls._table = table
        cls._soft_deletion = soft_deletion_of(table)
        cls._columns = {
            name: column
            for name, column in mapper.columns.items()
            if isinstance(column, sa.Column) and (name in own or name in inherited)
        }
        key = {column.name: name for name, column in cls._columns.items()}
        try:
            cls._key = tuple(key[column.name] for column in table.primary_key)
        except KeyError as error:
            raise DefinitionError(objname=cls.obj_name(), reason=f"primary key {error} has no field") from error
        for name, target in cls.related.items():
            relationship = mapper.relationships.get(name)
            if relationship is None:
                raise DefinitionError(objname=cls.obj_name(), reason=f"its model has no relationship {name}")
            own.setdefault(name, _field_of(target, bool(relationship.uselist)))

    @classmethod
    def obj_name(cls) -> str:
        """Return the name on the wire."""
        return cls._name or cls.__name__

    @classmethod
    def obj_class_from_name(cls, objname: str, objver: str) -> type[VersionedObject]:
        """Return the class that reads this version. Raise UnknownObject, NewerVersion or OtherMajorVersion."""
        return registry.class_for(objname, objver)

    def obj_load_attr(self, attrname: str) -> None:
        """Raise NotLoaded: reading a field runs no statement."""
        raise NotLoaded(objname=self.obj_name(), field=attrname)

    def obj_to_primitive(
        self, target_version: str | None = None, version_manifest: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Return the object as JSON can express it, for a process that knows `target_version`."""
        target = target_version or self.VERSION
        data = self._codec.encode(self)
        if version_manifest or target != type(self).VERSION:
            # An object that arrived in an older version keeps that as its own, so it is sent back in it.
            newest = max(registry.version_tuple(type(self).VERSION), registry.version_tuple(self.VERSION))
            if registry.version_tuple(target) > newest:
                raise exception.InvalidTargetVersion(version=target)
            self.obj_make_compatible_from_manifest(data, target, version_manifest)
        space = self.OBJ_SERIAL_NAMESPACE
        primitive: dict[str, Any] = {
            f"{space}.name": self.obj_name(),
            f"{space}.namespace": self.OBJ_PROJECT_NAMESPACE,
            f"{space}.version": target,
            f"{space}.data": data,
        }
        # Changes of nested objects are in their own primitives.
        changes = sorted(old for name in self._own_changes() if (old := self._name_in(name, data)))
        if changes:
            primitive[f"{space}.changes"] = changes
        return primitive

    @classmethod
    def obj_from_primitive(cls, primitive: dict[str, Any], context: Any = None) -> Self:
        """Return the object of a primitive. Raise InvalidPrimitive, or the errors of `obj_class_from_name`."""
        try:
            parts = [primitive[cls._obj_primitive_key(part)] for part in _METADATA[:3]]
        except (KeyError, TypeError) as error:
            raise InvalidPrimitive(objname="an object", reason=f"{error} is missing") from error
        if not all(isinstance(part, str) for part in parts):
            raise InvalidPrimitive(objname="an object", reason=f"its name, namespace and version are {parts}")
        try:
            registry.version_tuple(parts[2])
        except ValueError as error:
            raise InvalidPrimitive(objname=parts[0], reason=f"its version is {parts[2]!r}") from error
        return super().obj_from_primitive(primitive, context)

    @classmethod
    def _obj_from_primitive(cls, context: Any, objver: str, primitive: dict[str, Any]) -> Self:
        obj = cls(context)
        space = cls.OBJ_SERIAL_NAMESPACE
        data = primitive.get(f"{space}.data")
        changes = primitive.get(f"{space}.changes", ())
        if not isinstance(changes, list | tuple) or not all(isinstance(name, str) for name in changes):
            raise InvalidPrimitive(objname=cls.obj_name(), reason="its changes are no list of names")
        if objver != cls.VERSION and not registry.is_compatible(objver, cls.VERSION):
            obj.VERSION = objver
            if isinstance(data, dict):
                data, changes = dict(data), list(changes)
                obj.obj_make_current(data, changes, objver)
        obj._codec.decode(obj, data)
        obj._set_own_changes(name for name in changes if name in cls.fields)
        return obj

    def obj_make_compatible(self, primitive: dict[str, Any], target_version: str) -> None:
        """Change the data of a primitive to that of an older version: new fields out, old names back."""
        super().obj_make_compatible(primitive, target_version)
        target = registry.version_tuple(target_version)
        for name, version in self.added.items():
            if target < registry.version_tuple(version):
                primitive.pop(name, None)
        for name, (old, version) in self.renamed.items():
            if target < registry.version_tuple(version) and name in primitive:
                primitive[old] = primitive.pop(name)

    def obj_make_current(self, primitive: dict[str, Any], changes: list[str], version: str) -> None:
        """Change the data of an older version to that of this class. It is the reverse of `obj_make_compatible`."""
        for name, (old, renamed_in) in self.renamed.items():
            if registry.version_tuple(version) < registry.version_tuple(renamed_in):
                if old in primitive:
                    primitive[name] = primitive.pop(old)
                changes[:] = [name if change == old else change for change in changes]

    def _name_in(self, name: str, data: Mapping[str, Any]) -> str | None:
        """Return the name of a field in the data of a version; None if that version does not have it."""
        if name not in data and name in self.renamed:
            name = self.renamed[name][0]
        return name if name in data else None


def _field_of(target: str | type[VersionedObject], many: bool) -> Field[Any]:
    """Return the field of a relationship: an object, a list of objects, or an ObjectList if the target is one."""
    if not many:
        return ObjectField(registry.name_of(target), nullable=True)
    classes = [target] if isinstance(target, type) else registry.known(target)
    if any(issubclass(cls, ObjectListBase) for cls in classes):
        return ObjectField(registry.name_of(target))
    return ListOfObjectsField(registry.name_of(target))
