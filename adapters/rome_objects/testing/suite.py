"""Tests that each implementation of an object passes. A test of another implementation is a few lines:

    class TestServers(ObjectSuite):
        @pytest.fixture
        def objects(self):
            return Objects(Server, ServerList, lambda number: {"name": f"s{number}"}, field="host", values=("a", "b"))

The fixture begins with no objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import pytest

from rome_objects import errors


@dataclass
class Objects:
    """The classes to test.

    `values_of(number)` are the values that a new object needs, different for each number. `field` names a nullable
    field that is not unique, `values` are two values of it, the smaller one first.
    """

    cls: Any
    list: Any
    values_of: Callable[[int], dict[str, Any]]
    field: str
    values: tuple[Any, Any]
    context: dict[str, Any] = dataclass_field(default_factory=lambda: {"user": "suite"})

    def create(self, number: int, value: Any = None) -> Any:
        """Return a new object that is created."""
        obj = self.cls(self.context, **{**self.values_of(number), self.field: value})
        obj.create()
        return obj

    def key(self, obj: Any) -> Any:
        """Return the primary key of an object."""
        return [getattr(obj, name) for name in self.cls._key]


class ObjectSuite:
    """The behavior of objects and lists."""

    def test_create_and_get(self, objects: Objects) -> None:
        """An object is read as it was created."""
        obj = objects.create(1, objects.values[0])
        assert not obj.obj_what_changed()
        assert dict(objects.cls.get(objects.context, *objects.key(obj))) == dict(obj)
        assert dict(objects.cls.get_by(objects.context, **{objects.field: objects.values[0]})) == dict(obj)

    def test_what_does_not_exist(self, objects: Objects) -> None:
        """Reading what does not exist raises NotFound."""
        obj = objects.create(1)
        obj.destroy()
        with pytest.raises(errors.NotFound):
            objects.cls.get(objects.context, *objects.key(obj))
        setattr(obj, objects.field, objects.values[0])
        for use in (obj.save, obj.destroy, obj.refresh):
            with pytest.raises(errors.ObjectGone):
                use()

    def test_duplicates(self, objects: Objects) -> None:
        """A primary key exists once."""
        obj = objects.create(1)
        names = dict(zip(objects.cls._key, objects.key(obj), strict=True))
        with pytest.raises(errors.ConstraintViolated):
            objects.cls(objects.context, **{**objects.values_of(2), **names}).create()

    def test_save(self, objects: Objects) -> None:
        """Only changes are written; those of another process stay."""
        obj = objects.create(1)
        other = objects.cls.get(objects.context, *objects.key(obj))
        setattr(other, objects.field, objects.values[1])
        other.save()
        obj.save()
        obj.refresh()
        assert getattr(obj, objects.field) == objects.values[1]

    def test_expected_state(self, objects: Objects) -> None:
        """A save or destroy is refused if the row is in another state."""
        low, high = objects.values
        obj = objects.create(1, low)
        setattr(obj, objects.field, high)
        with pytest.raises(errors.StateConflict):
            obj.save(expected={objects.field: high})
        with pytest.raises(errors.StateConflict):
            obj.destroy(expected={objects.field: [high, None]})
        assert obj.obj_what_changed() == {objects.field}
        obj.save(expected={objects.field: [low, None]})
        assert not obj.obj_what_changed()

    def test_filters_and_count(self, objects: Objects) -> None:
        """Filters select objects."""
        low, high = objects.values
        keys = [objects.key(objects.create(number, value)) for number, value in enumerate([low, high, None, high])]
        for filters, places in (
            ({objects.field: low}, [0]),
            ({objects.field: None}, [2]),
            ({objects.field: [high, None]}, [1, 2, 3]),
            ({objects.field: {"ge": low}}, [0, 1, 3]),
            ({objects.field: {"gt": low, "in": [high]}}, [1, 3]),
            ({objects.field: []}, []),
        ):
            found = [objects.key(obj) for obj in objects.list.list(objects.context, filters=filters)]
            assert sorted(found) == sorted(keys[place] for place in places)
            assert objects.list.count(objects.context, filters) == len(places)

    @pytest.mark.parametrize("descending", ["", "-"])
    @pytest.mark.parametrize("limit", [1, 2, 5])
    def test_pages(self, objects: Objects, descending: str, limit: int) -> None:
        """Pages have all objects, each once, in order; None comes first."""
        low, high = objects.values
        for number, value in enumerate([high, None, low, high, None, low, low]):
            objects.create(number, value)
        sort = [f"{descending}{objects.field}"]
        whole = [objects.key(obj) for obj in objects.list.list(objects.context, sort=sort)]
        found: list[Any] = []
        while page := objects.list.list(objects.context, sort=sort, limit=limit, marker=found[-1] if found else None):
            found += [objects.key(obj) for obj in page]
        assert found == whole
        assert len(found) == 7
        values = [getattr(obj, objects.field) for obj in objects.list.list(objects.context, sort=sort)]
        ascending = [None, None, low, low, low, high, high]
        assert values == (ascending[::-1] if descending else ascending)

    def test_invalid_queries(self, objects: Objects) -> None:
        """An unknown field, operator or limit raises InvalidQuery."""
        for arguments in (
            {"filters": {"no such field": 1}},
            {"filters": {objects.field: {"near": 1}}},
            {"sort": ["no such field"]},
            {"limit": -1},
        ):
            with pytest.raises(errors.InvalidQuery):
                objects.list.list(objects.context, **arguments)
