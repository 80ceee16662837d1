"""Compare and swap: UPDATE one row, provided that it still has the values that the caller expects.

The expected values are given as a *specimen*, an object of the model that is not added to a session. Every attribute
that is set on it becomes a condition of one UPDATE, so comparing and writing are atomic at every isolation level.

    >>> from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
    >>> from rome.orm import Session
    >>> class Base(DeclarativeBase): pass
    >>> class Server(Base):
    ...     __tablename__ = "servers"
    ...     id: Mapped[int] = mapped_column(primary_key=True)
    ...     name: Mapped[str] = mapped_column(unique=True)
    ...     state: Mapped[str]
    >>> session = Session(url="rome+memory:///update-match")
    >>> Base.metadata.create_all(session.get_bind())
    >>> session.add(Server(name="web", state="active"))
    >>> expected = Server(name="web", state=("active", "paused"))
    >>> session.query(Server).update_on_match(expected, "name", {"state": "stopped"}).state
    'stopped'
    >>> session.query(Server).update_on_match(expected, "name", {"state": "stopped"}, attempts=1)
    Traceback (most recent call last):
    rome.orm.update_match.NoRowsMatched: no row of Server matched after 1 attempt: name, state
    >>> session.close()
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, and_, inspect, or_, orm, true, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapper

_T = TypeVar("_T", bound=Any)
_Q = TypeVar("_Q", bound=orm.Query[Any])


class CannotUpdate(InvalidRequestError):
    """The UPDATE did not match exactly one row."""


class NoRowsMatched(CannotUpdate):
    """No row matches the specimen."""


class MultiRowsMatched(CannotUpdate):
    """Several rows match the specimen. They have been updated: roll the transaction back."""


def update_on_match(
    query: _Q,
    specimen: _T,
    surrogate_key: str | Iterable[str],
    values: Mapping[str, Any] | None = None,
    *,
    attempts: int = 3,
    include_only: Collection[str] | None = None,
    process_query: Callable[[_Q], _Q] | None = None,
    handle_failure: Callable[[_Q], bool | None] | None = None,
) -> _T:
    """Set `values` in the one row that the query selects and that matches the specimen. Return its object.

    `specimen`: its column attributes that are set are compared. A tuple, list or set matches any of its values.
    `surrogate_key`: the attribute (or attributes) that identify the row; they must be set on the specimen.
    `include_only`: of the other attributes, compare only these.
    `process_query`: gets the query with all its conditions and may add some.
    `handle_failure`: called with the query if no row matched. It raises an error, or returns True (nothing to do: the
    row's object is returned as it is) or False (try again, up to `attempts` times in total).

    Raises NoRowsMatched and MultiRowsMatched.
    """
    mapper: Mapper[_T] = inspect(specimen).mapper
    name = mapper.class_.__name__
    if [description["type"] for description in query.column_descriptions] != [mapper.class_]:
        raise InvalidRequestError(f"update_on_match needs a query of {name} alone")
    keys = (surrogate_key,) if isinstance(surrogate_key, str) else tuple(surrogate_key)
    expected = _expected(specimen, keys, include_only)
    changes = dict(values or {})
    query = query.filter(matches(mapper, expected))
    if process_query is not None:
        query = process_query(query)
    for _ in range(attempts):
        updated = _update(query, mapper, changes)
        if len(updated) > 1:
            raise MultiRowsMatched(f"{len(updated)} rows of {name} match: {', '.join(expected)}")
        if updated:
            return updated[0]
        if handle_failure is not None and handle_failure(query):
            identity = matches(mapper, {key: expected[key] for key in keys})
            found: _T = query.session.query(mapper.class_).filter(identity).one()
            return found
    times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    raise NoRowsMatched(f"no row of {name} matched after {times}: {', '.join(expected)}")


def matches(mapper: Mapper[Any], values: Mapping[str, Any]) -> ColumnElement[bool]:
    """Return the condition that the attributes have these values; a collection matches any of its members.

    None matches NULL.
    """
    return and_(true(), *(_is_any(getattr(mapper.class_, name), value) for name, value in values.items()))


def _is_any(attribute: Any, value: Any) -> ColumnElement[bool]:
    choices = list(value) if isinstance(value, tuple | list | set | frozenset) else [value]
    values = [option for option in choices if option is not None]
    condition: ColumnElement[bool] = attribute == values[0] if len(values) == 1 else attribute.in_(values)
    if len(values) == len(choices):
        return condition
    return or_(attribute.is_(None), condition) if values else attribute.is_(None)


def _expected(specimen: Any, keys: tuple[str, ...], include_only: Collection[str] | None) -> dict[str, Any]:
    """Return the attributes of the specimen to compare, including the identifying ones, in the mapper's order."""
    state = inspect(specimen)
    given = {name: state.dict[name] for name in state.mapper.column_attrs.keys() if name in state.dict}  # noqa: SIM118
    missing = [key for key in keys if key not in given]
    if missing:
        raise InvalidRequestError(f"the specimen has no {', '.join(missing)}, which must identify the row")
    compared = given if include_only is None else {*include_only, *keys}
    return {name: value for name, value in given.items() if name in compared}


def _update(query: orm.Query[Any], mapper: Mapper[_T], changes: dict[str, Any]) -> list[_T]:
    """Run the UPDATE and return the objects of the rows that it changed."""
    selection = query.statement
    if not isinstance(selection, Select) or list(selection.get_final_froms()) != [mapper.local_table]:
        raise InvalidRequestError(f"update_on_match needs a query of {mapper.local_table} alone, not: {query}")
    statement = update(mapper.class_).values(changes).returning(mapper.class_)
    if query.whereclause is not None:
        statement = statement.where(query.whereclause)
    options = {"synchronize_session": False, "populate_existing": True}
    return list(query.session.scalars(statement, execution_options=options).all())
