"""Remotable methods: the same call runs in this process, or in a conductor.

A remotable method takes and returns objects and values that JSON can express, and datetimes, decimals, UUIDs and bytes.
Called in a process with `[objects] direct = true`, it runs in one transaction of this process. With `direct = false`
the conductor runs it so: one call is one message, one answer and one transaction. A remotable method that is called
within another runs where that one does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from oslo_versionedobjects.base import VersionedObject, VersionedObjectIndirectionAPI, obj_tree_get_versions
from oslo_versionedobjects.exception import OrphanedObjectError

from rome_objects import database

_P = ParamSpec("_P")
_R = TypeVar("_R")
_F = TypeVar("_F", bound=Callable[..., Any])

_conductor: VersionedObjectIndirectionAPI | None = None

_serving: ContextVar[bool] = ContextVar("rome_objects_serving", default=False)
"""True while this thread runs a call for another process."""


def call_directly() -> None:
    """Run remotable methods in this process."""
    _use(None)


def call_conductor(conductor: VersionedObjectIndirectionAPI) -> None:
    """Run remotable methods in a conductor, by its client."""
    _use(conductor)


def _use(conductor: VersionedObjectIndirectionAPI | None) -> None:
    """Replace the client. Close the former one, for its threads would go on waiting for answers."""
    global _conductor
    former, _conductor = _conductor, conductor
    close = getattr(former, "close", None)
    if close is not None:
        close()


class Indirection:
    """The conductor's client, as an attribute of objects and their classes; None if a call runs in this process."""

    def __get__(self, instance: Any, owner: type | None = None) -> VersionedObjectIndirectionAPI | None:
        """Return the client for a call that is made now."""
        return None if _conductor is None or _serving.get() or database.in_transaction() else _conductor


@contextmanager
def serving() -> Iterator[None]:
    """Run remotable methods in this process, whatever is configured: it is the conductor of another one."""
    token = _serving.set(True)
    try:
        yield
    finally:
        _serving.reset(token)


def remotable(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a method of an object, or of a class, run in a transaction, here or in a conductor.

    Raise OrphanedObjectError if it is called on an object without a context.
    """

    @functools.wraps(function)
    def method(target: Any, *args: Any, **kwargs: Any) -> Any:
        return (_call_class if isinstance(target, type) else _call_object)(function, target, args, kwargs)

    wrapper: Any = method
    wrapper.remotable = True
    wrapper.original_fn = function
    return wrapper  # type: ignore[no-any-return]


def safe_to_repeat(function: _F) -> _F:
    """Declare that a call may be repeated if no answer came, because it changes nothing. It goes below `@remotable`."""
    function.safe_to_repeat = True  # type: ignore[attr-defined]
    return function


def remotable_classmethod(function: Callable[..., _R]) -> classmethod[Any, ..., _R]:
    """Let a method become a remotable classmethod, whose first argument is the context.

    It is the same as `@classmethod` above `@remotable`.
    """
    return classmethod(remotable(function))


def _call_class(function: Callable[..., Any], cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    conductor = cls.indirection_api
    if conductor is not None:
        context, rest = (args[0], args[1:]) if args else (kwargs.pop("context"), ())
        name = cls.obj_name()
        return conductor.object_class_action_versions(
            context, name, function.__name__, obj_tree_get_versions(name), rest, kwargs
        )
    result = database.run(function, cls, *args, **kwargs)
    if isinstance(result, VersionedObject):
        result._context = args[0] if args else kwargs["context"]
    return result


def _call_object(function: Callable[..., Any], obj: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if obj._context is None:
        raise OrphanedObjectError(method=function.__name__, objtype=obj.obj_name())
    conductor = obj.indirection_api
    if conductor is None:
        return database.run(function, obj, *args, **kwargs)
    updates, result = conductor.object_action(obj._context, obj, function.__name__, args, kwargs)
    # The client in `conductor.client` has set the fields. Other clients return their values.
    for name in obj.fields.keys() & updates.keys():
        value = updates[name]
        is_object = isinstance(value, VersionedObject)
        setattr(obj, name, value if is_object else obj.fields[name].from_primitive(obj, name, value))
    obj._set_own_changes(updates.get("obj_what_changed", ()))
    return result
