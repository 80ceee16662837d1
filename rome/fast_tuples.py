"""Make named tuples at the speed of plain ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T", bound=tuple[Any, ...])


def tuple_maker(cls: type[T]) -> Callable[[Any], T]:
    """Return a function that makes a `cls`, a NamedTuple, of an iterable of its values.

    `cls(*values)` runs a Python function, `__new__`, for each tuple; the function returned here does not. The number
    of values is not checked.
    """
    return partial(tuple.__new__, cls)
