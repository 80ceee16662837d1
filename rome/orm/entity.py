"""A mixin for models whose objects save themselves and behave like dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import inspect, orm
from sqlalchemy.exc import InvalidRequestError

from rome.orm.session import Session
from rome.orm.soft_deletion import soft_deletion, utcnow


class Entity:
    """A mixin for one declarative model, or for the declarative base and so for all models.

    `save`, `soft_delete` and `delete` use the session argument, else the session that the object belongs to, else a
    temporary session on the configured database. In an existing session they flush the change, and the caller commits.
    In a temporary session they commit; afterwards the object is detached, with its columns loaded.

    >>> from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
    >>> from rome.orm import Query, engine_for
    >>> class Base(Entity, DeclarativeBase): pass
    >>> class Flavor(Base):
    ...     __tablename__ = "flavors"
    ...     id: Mapped[int] = mapped_column(primary_key=True)
    ...     name: Mapped[str]
    ...     vcpus: Mapped[int]
    >>> Base.metadata.create_all(engine_for())
    >>> small = Flavor(name="small", vcpus=1).save()
    >>> small["vcpus"], small.get("colour", "none"), "name" in small
    (1, 'none', True)
    >>> dict(small.update({"vcpus": 2}).save())
    {'id': 1, 'name': 'small', 'vcpus': 2}
    >>> small.delete()
    >>> Query(Flavor).count()
    0
    """

    @property
    def _extra_keys(self) -> Iterable[str]:
        """Names of attributes other than columns that iteration includes; for subclasses to override."""
        return ()

    def save(self, session: orm.Session | None = None) -> Self:
        """Insert the object's row, or update its changed columns. Return the object."""
        with _session_of(self, session) as working:
            working.add(self)
            working.flush()
        return self

    def delete(self, session: orm.Session | None = None) -> None:
        """Delete the object's row."""
        with _session_of(self, session) as working:
            working.delete(self)
            working.flush()

    def soft_delete(self, session: orm.Session | None = None) -> Self:
        """Mark the object's row as deleted, as `Query.soft_delete` does, and save it. Return the object.

        Raises InvalidRequestError if the model lacks the columns for it.
        """
        markers = soft_deletion(type(self))
        if inspect(self, raiseerr=True).transient:
            raise InvalidRequestError(f"this {type(self).__name__} can't be soft-deleted: it was never saved")
        with _session_of(self, session) as working:
            working.add(self)
            if self in working.new:
                working.flush()  # assigns the id, which becomes the mark
            self["deleted"] = markers.mark_row(self)
            self["deleted_at"] = utcnow()
            if "updated_at" in markers.mapper.column_attrs:
                # Write the present value, so that onupdate does not apply; this loads it if necessary.
                orm.attributes.set_attribute(self, "updated_at", self["updated_at"])
                orm.attributes.flag_modified(self, "updated_at")
            working.flush()
        return self

    def update(self, values: Mapping[str, Any]) -> Self:
        """Set several attributes without saving. Return the object. Raises KeyError for an unknown name."""
        for name, value in values.items():
            self[name] = value
        return self

    def get(self, name: str, default: Any = None) -> Any:
        """Return the attribute of this name, or the default."""
        return getattr(self, name, default)

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(f"{type(self).__name__} has no {name!r}")
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        # Otherwise a misspelt column would be accepted and never saved.
        if name not in self:
            raise KeyError(f"{type(self).__name__} has no {name!r}")
        setattr(self, name, value)

    def __contains__(self, name: object) -> bool:
        # hasattr() of the object would load attributes that are not loaded; the class tells without a query.
        return isinstance(name, str) and (name in vars(self) or hasattr(type(self), name))

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Iterate over pairs of name and value: columns first, then the extra keys."""
        names = [*inspect(type(self), raiseerr=True).column_attrs.keys(), *self._extra_keys]
        return ((name, getattr(self, name)) for name in names)

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return the pairs of iteration and the relationships that are loaded."""
        loaded = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return (dict(self.__iter__()) | loaded).items()

    def keys(self) -> list[str]:
        """Return the names of `items`."""
        return [name for name, _ in self.items()]


@contextmanager
def _session_of(entity: Entity, session: orm.Session | None) -> Iterator[orm.Session]:
    """Return the session argument, else the entity's session, else a temporary one that is committed and closed."""
    existing = orm.object_session(entity) if session is None else session
    if existing is not None:
        yield existing
        return
    with Session(expire_on_commit=False) as temporary, temporary.begin():
        yield temporary
        state = inspect(entity, raiseerr=True)
        if state.persistent and state.expired_attributes:
            temporary.refresh(entity, state.expired_attributes)  # load what the database computed before detaching
