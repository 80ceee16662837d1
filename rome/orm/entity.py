"""Models whose objects save themselves and read like dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import inspect, orm
from sqlalchemy.exc import InvalidRequestError

from rome.orm.session import Session
from rome.orm.soft_deletion import soft_deletion, utcnow


class Entity:
    """A mixin for declarative models: of one class, or of your base and with it of all.

    `save`, `soft_delete` and `delete` work in a session: the one given; else the one that the object belongs to; else
    one of their own on the configured database. In somebody's session the change is flushed, and the transaction is
    the owner's to commit. In one of their own it is committed at once, and the object is detached again, its columns
    loaded.

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
        """Names beside the columns under which a model's objects answer as dictionaries; for subclasses to override."""
        return ()

    def save(self, session: orm.Session | None = None) -> Self:
        """Insert the object's row, or update what was changed; answer the object."""
        with _session_of(self, session) as working:
            working.add(self)
            working.flush()
        return self

    def delete(self, session: orm.Session | None = None) -> None:
        """Remove the object's row."""
        with _session_of(self, session) as working:
            working.delete(self)
            working.flush()

    def soft_delete(self, session: orm.Session | None = None) -> Self:
        """Mark the object's row as deleted, as `Query.soft_delete` does, and save it.

        Raises InvalidRequestError when the model has not the columns for it.
        """
        manner = soft_deletion(type(self))
        if inspect(self, raiseerr=True).transient:
            raise InvalidRequestError(f"this {type(self).__name__} can't be soft-deleted: it was never saved")
        with _session_of(self, session) as working:
            working.add(self)
            if self in working.new:
                working.flush()  # gives it the id that marks it
            self["deleted"] = manner.mark_row(self)
            self["deleted_at"] = utcnow()
            if "updated_at" in manner.mapper.column_attrs:
                # Written as it is, so that its onupdate does not apply; for that it has to be loaded.
                orm.attributes.set_attribute(self, "updated_at", self["updated_at"])
                orm.attributes.flag_modified(self, "updated_at")
            working.flush()
        return self

    def update(self, values: Mapping[str, Any]) -> Self:
        """Set several attributes at once, without saving; answer the object. Raises KeyError for an unknown name."""
        for name, value in values.items():
            self[name] = value
        return self

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute of this name; the default where there is none."""
        return getattr(self, name, default)

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(f"{type(self).__name__} has no {name!r}")
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        # Else a misspelt column would be accepted, and never saved.
        if name not in self:
            raise KeyError(f"{type(self).__name__} has no {name!r}")
        setattr(self, name, value)

    def __contains__(self, name: object) -> bool:
        # The class is asked, because to ask the object would load what is not loaded.
        return isinstance(name, str) and (name in vars(self) or hasattr(type(self), name))

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """The pairs of name and value: columns first, then the extra keys."""
        names = [*inspect(type(self), raiseerr=True).column_attrs.keys(), *self._extra_keys]
        return ((name, getattr(self, name)) for name in names)

    def items(self) -> Iterable[tuple[str, Any]]:
        """The pairs of iteration, and those relationships that are loaded."""
        row_cache = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return (dict(self.__iter__()) | row_cache).items()

    def keys(self) -> list[str]:
        """The names of `items`."""
        return [name for name, _ in self.items()]


@contextmanager
def _session_of(entity: Entity, session: orm.Session | None) -> Iterator[orm.Session]:
    """The session to work in: the one given, the entity's, or one of its own that is committed and closed."""
    working = orm.object_session(entity) if session is None else session
    if working is not None:
        yield working
        return
    with Session(expire_on_commit=False) as own, own.begin():
        yield own
        state = inspect(entity, raiseerr=True)
        if state.persistent and state.expired_attributes:
            own.refresh(entity, state.expired_attributes)  # what the database computed: out of reach once detached
