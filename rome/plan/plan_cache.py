"""Plans that are known, by text and catalog: those that are used are kept.

This is the short way of a statement that runs again. What plans are made of is kept for all databases (`known`).
"""

from __future__ import annotations

import threading

from rome.plan.prepare import Plan

MOST = 2000


class _Entry:
    """A plan that is known. `is_used`: it was asked for since it was looked at last."""

    __slots__ = ("is_used", "plan")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.is_used = False


class PlanCache:
    """The plans of a database, shared by its connections.

    `hits` and `misses` count how often a plan was known; threads may lose a count, for what is known is found without
    a lock. Who goes first where there are too many is found by second chance: the oldest that nobody has used since it
    was looked at last.
    """

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self._entries: dict[tuple[bytes, str], _Entry] = {}
        self._lock = threading.Lock()

    def known(self, catalog: bytes, sql: str) -> Plan | None:
        """The plan of a text under the committed catalog of that digest; None if there is none that is still good."""
        entry = self._entries.get((catalog, sql))
        if entry is None or entry.plan.reads.is_outdated:
            self.misses += 1
            return None
        entry.is_used = True
        self.hits += 1
        return entry.plan

    def keep(self, catalog: bytes, sql: str, plan: Plan) -> None:
        """Remember a plan that was made."""
        with self._lock:
            self._entries[catalog, sql] = _Entry(plan)
            while len(self._entries) > MOST:
                oldest = next(iter(self._entries))
                entry = self._entries.pop(oldest)
                if entry.is_used:
                    entry.is_used = False
                    self._entries[oldest] = entry

    def clear(self) -> None:
        """Forget all plans."""
        with self._lock:
            self._entries.clear()
