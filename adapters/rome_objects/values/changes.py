"""Which fields of an object have changed, and the state to which a failed transaction returns it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Self

from oslo_versionedobjects.base import VersionedObject

from rome_objects.values.codec import Codec
from rome_objects.values.mutable import differs, snapshot


class ChangeTracking(VersionedObject):
    """A versioned object that knows its changes, those of values that changed in place, too."""

    _codec: ClassVar[Codec]

    _snapshots: Mapping[str, Any] = {}
    """Attribute → snapshot of a value that can change in place, which is not marked as changed."""

    def obj_what_changed(self) -> set[str]:
        """Return the fields that were set since the object was read, and those whose values changed in place."""
        return self._own_changes() | {
            attribute.removeprefix("_obj_")
            for attribute in self._codec.nested
            if any(obj.obj_what_changed() for obj in objects_in(self.__dict__.get(attribute)))
        }

    def obj_reset_changes(self, fields: Iterable[str] | None = None, recursive: bool = False) -> None:
        """Forget that these fields changed; all of them by default. `recursive` includes the objects in fields."""
        names = list(fields or ())
        super().obj_reset_changes(names, recursive)
        self._take_snapshots([f"_obj_{name}" for name in names] or self._codec.mutable)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy with copies of all values, and the same changes."""
        copy = super().__deepcopy__(memo)
        copy.VERSION = self.VERSION
        copy._set_own_changes(self._own_changes())
        return copy

    def _set_loaded(self, name: str, value: Any) -> None:
        """Set a field to what the database has, without a change. Raise ValueError for a wrong type."""
        attribute = f"_obj_{name}"
        self.__dict__[attribute] = self.fields[name].coerce(self, name, value)
        self._changed_fields.discard(name)
        if attribute in self._codec.mutable:
            self._take_snapshots([attribute])

    def _own_changes(self) -> set[str]:
        """Return the changed fields, without those of which only an object in the value changed."""
        changes = {name for name in self._changed_fields if name in self.fields}
        for attribute, before in self._snapshots.items():
            if attribute in self.__dict__ and differs(self.__dict__[attribute], before):
                changes.add(attribute.removeprefix("_obj_"))
        return changes

    def _set_own_changes(self, names: Iterable[str]) -> None:
        """Mark exactly these fields as changed."""
        self._changed_fields = set(names)
        self._take_snapshots(self._codec.mutable)

    def _take_snapshots(self, attributes: Iterable[str]) -> None:
        """Take the present values of these attributes as unchanged."""
        mutable = self._codec.mutable
        if not mutable:
            return
        snapshots = dict(self._snapshots)
        for attribute in attributes:
            snapshots.pop(attribute, None)
            marked = attribute.removeprefix("_obj_") in self._changed_fields
            if attribute in mutable and attribute in self.__dict__ and not marked:
                snapshots[attribute] = snapshot(self.__dict__[attribute])
        self._snapshots = snapshots

    def _state(self) -> dict[str, Any]:
        """Return the object's attributes, of which values that can change in place are copied."""
        state = dict(self.__dict__)
        state["_changed_fields"] = set(self._changed_fields)
        for attribute in self._codec.mutable:
            if attribute in state:
                state[attribute] = snapshot(state[attribute])
        return state

    def _restore(self, state: Mapping[str, Any]) -> None:
        """Return to a state, with collections of the fields' own types."""
        self.__dict__.clear()
        self.__dict__.update(state)
        for attribute in self._codec.mutable:
            value = state.get(attribute)
            if value is not None:
                name = attribute.removeprefix("_obj_")
                self.__dict__[attribute] = self.fields[name].coerce(self, name, value)


def objects_in(value: Any) -> Iterator[Any]:
    """Return the objects in the value of a field: an object itself, or those in a collection."""
    if isinstance(value, VersionedObject):
        yield value
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for item in value.values() if isinstance(value, Mapping) else value:
            if isinstance(item, VersionedObject):
                yield item
