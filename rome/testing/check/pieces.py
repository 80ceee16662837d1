"""Cut a long iterable into pieces, one for each round trip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def pieces(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of up to `size` items, in order."""
    remaining = iter(items)
    while piece := list(islice(remaining, size)):
        yield piece
