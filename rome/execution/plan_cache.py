"""Plans that are known, by text and catalog: those used last are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from rome.execution.plan import Plan

MOST = 2000


class PlanCache:
    """The plans of a database, shared by its connections. `hits` and `misses` count how often a plan was known."""

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self._plans: OrderedDict[tuple[bytes, str], Plan] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, catalog: bytes, sql: str, make: Callable[[], Plan]) -> Plan:
        """The plan of a text, made if it is not known or other paths may be better by now.

        `catalog` is the digest of the committed catalog that it is made under.
        """
        key = catalog, sql
        with self._lock:
            plan = self._plans.get(key)
            if plan is not None and not plan.reads.is_outdated:
                self._plans.move_to_end(key)
                self.hits += 1
                return plan
            self.misses += 1
        plan = make()
        with self._lock:
            self._plans[key] = plan
            while len(self._plans) > MOST:
                self._plans.popitem(last=False)
        return plan

    def clear(self) -> None:
        """Forget all plans."""
        with self._lock:
            self._plans.clear()
