"""Notes: what processes write about themselves, for others to read. They are no part of the database's contents.

A note is bytes under the name of its process. A process writes its own again every few seconds; those of processes
that have ended, or do not answer, are left out after NOTE_SECONDS. `rome.metrics.publish` writes them, and `rome top`
reads them.
"""

from __future__ import annotations

import time
from typing import Protocol

NOTE_SECONDS = 30.0
"""Seconds after which a note that was not written again is left out."""


class Notes(Protocol):
    """The notes of the processes that use a database."""

    def write(self, name: bytes, note: bytes) -> None:
        """Write the note of a process, in place of its last one. Raise StoreUnavailable."""

    def read(self) -> dict[bytes, bytes]:
        """Return the fresh notes, by the names of their processes. Raise StoreUnavailable."""

    def remove(self, name: bytes) -> None:
        """Remove the note of a process that ends. Raise StoreUnavailable."""


class LocalNotes:
    """The notes of a store that only this process has."""

    def __init__(self) -> None:
        self._notes: dict[bytes, tuple[float, bytes]] = {}

    def write(self, name: bytes, note: bytes) -> None:
        """Write the note of a process."""
        self._notes[name] = time.monotonic(), note

    def read(self) -> dict[bytes, bytes]:
        """Return the fresh notes."""
        oldest = time.monotonic() - NOTE_SECONDS
        return {name: note for name, (written, note) in list(self._notes.items()) if written > oldest}

    def remove(self, name: bytes) -> None:
        """Remove the note of a process."""
        self._notes.pop(name, None)
