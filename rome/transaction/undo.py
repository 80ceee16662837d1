"""Dictionaries that go back with ROLLBACK TO: every change to them is noted, and undone from the last to the first."""

from __future__ import annotations

from typing import Any

_MISSING = object()


class UndoLog(list[tuple[dict[Any, Any], Any, Any]]):
    """Notes the changes made through it. `mark` and `back_to` bracket what is to be undone."""

    def set(self, mapping: dict[Any, Any], key: Any, value: Any) -> None:
        """mapping[key] = value"""
        self.append((mapping, key, mapping.get(key, _MISSING)))
        mapping[key] = value

    def take_out(self, mapping: dict[Any, Any], key: Any) -> None:
        """Del mapping[key]"""
        self.append((mapping, key, mapping.pop(key)))

    def mark(self) -> int:
        """A point to go back to."""
        return len(self)

    def back_to(self, mark: int) -> None:
        """Undo every change since the mark."""
        while len(self) > mark:
            mapping, key, old = self.pop()
            if old is _MISSING:
                mapping.pop(key, None)
            else:
                mapping[key] = old
