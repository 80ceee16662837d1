"""Notes of processes as files next to the database: `NAME-process-HOST:PID`. Whoever reads removes old ones."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from rome.errors import StoreUnavailable
from rome.storage.notes import NOTE_SECONDS


class FileNotes:
    """The notes of the processes that have a file open."""

    def __init__(self, path: str) -> None:
        self._folder = Path(path).parent
        self._prefix = f"{Path(path).name}-process-"

    def write(self, name: bytes, note: bytes) -> None:
        """Write the note of a process: readers see the old one or the new one."""
        place = self._place(name)
        draft = place.with_name(f".{place.name}")
        try:
            draft.write_bytes(note)
            draft.replace(place)
        except OSError as error:
            raise StoreUnavailable(f"the note {place} can't be written: {error}") from error

    def read(self) -> dict[bytes, bytes]:
        """Return the fresh notes."""
        found = {}
        for place in sorted(self._folder.glob(f"{self._prefix}*")):
            with suppress(FileNotFoundError):  # its process has ended just now
                if place.stat().st_mtime > time.time() - NOTE_SECONDS:
                    found[os.fsencode(place.name.removeprefix(self._prefix))] = place.read_bytes()
                else:
                    place.unlink()
        return found

    def remove(self, name: bytes) -> None:
        """Remove the note of a process."""
        self._place(name).unlink(missing_ok=True)

    def _place(self, name: bytes) -> Path:
        return self._folder / (self._prefix + os.fsdecode(name).replace("/", "_"))
