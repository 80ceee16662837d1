"""Deferred constraints: what INSERT statements assume about other rows is left to the commit (`constraints=deferred`).

    INSERT INTO tag VALUES ('t1', 'p1', 'blue')     assumes: no tag has the key t1 or the name blue; a project p1 exists
    COMMIT                                          checks that, and writes: one round trip

An INSERT without SQLite knows its row and what it returns before it has read anything. Only whether a constraint
refuses it depends on other rows, and the commit can tell: a key must be new (`Demand.NO_KEYS`), a parent must exist
(`Demand.A_KEY`). So the transaction goes on as if the constraints held.

Without a round trip there is no read version either. The commit checks the definitions of the tables since the
`horizon`: the last version that this process has seen with the catalog by which the statement was planned. A
transaction that depends on no other version is *blind*. If it reads later, it takes its read version then.

Where the rows of an INSERT meet others (a statement that runs in SQLite, or SAVEPOINT), what was assumed is verified
before, in one round trip. If an assumption fails, there or at the commit, the statements run again with constraint
reads (`rome.session.replay`), and the one that SQLite refuses raises its error.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from rome.errors import Error
from rome.storage.store import Demand, Get, Lookup, Request
from rome.transaction.reads.row_cache import TableRequest, request_of
from rome.transaction.snapshot import RunAgain, Snapshot


class Assumption(NamedTuple):
    """A request for rows by keys, and what is assumed of each of these keys: that no row has it, or that one has."""

    asked: TableRequest
    demand: Demand

    def holds(self, answer: Any) -> bool:
        """Return True if the request's answer is as assumed."""
        wanted = _number_of_keys(self.asked.request) if self.demand is Demand.A_KEY else 0
        found = answer[0] if isinstance(self.asked.request, Lookup) else [row for row in answer if row is not None]
        return len(found) == wanted


def _number_of_keys(request: Request) -> int:
    if isinstance(request, Get):
        return len(request.keys)
    return len(request.ranges) if isinstance(request, Lookup) else 1


class Deferral(Snapshot):
    """The assumptions of a transaction."""

    defers = False
    """True if the running statement may leave its constraint reads to the commit."""
    assumed: tuple[Assumption, ...] = ()
    """The assumptions that are not verified yet."""

    def may_defer(self) -> bool:
        """Return True if an INSERT can leave its constraint reads to the commit now."""
        # The commit can't tell that a key will be free because this transaction deletes the row that has it.
        return self.defers and not any(block.news is None for block in self.blocks) and self._has_basis()

    def _has_basis(self) -> bool:
        """Return True if there is a version since which the commit can check the schema."""
        return self.version is not None or bool(self._earlier_digests) or self._begin_blind()

    def ensure_basis(self) -> None:
        """Have a version since which the commit can check the schema: without a round trip if that is possible.

        Raise CatalogChanged.
        """
        if not (self.defers and self._has_basis()):
            self.ensure_snapshot()

    def assume(self, requests: Iterable[TableRequest], demand: Demand) -> None:
        """Assume that no row has the keys of these requests (NO_KEYS), or that each has a row (A_KEY)."""
        made = tuple([Assumption(each, demand) for each in requests])
        for (table, request), _ in made:
            self.read_set.assumption(table, request, demand)
        self.assumed += made

    def verify_assumed(self) -> None:
        """Read what was assumed, in one round trip, before SQLite or a savepoint depends on it. Raise RunAgain."""
        assumed = self.assumed
        if not assumed:
            return
        requests = [each.asked for each in assumed]
        fetched = self._fetch(requests)
        if not all(map(Assumption.holds, assumed, fetched.answers)):
            raise RunAgain
        self.row_cache.add(requests, fetched)
        self.assumed = ()

    def has_held(self) -> bool:
        """Return True if what was assumed held at the read version: then others have violated it since.

        False if the transaction has no read version: it would meet the same violation again.
        """
        if not self.assumed or self.is_blind:
            return not self.assumed
        with suppress(Error):
            requests = [request_of(each.asked) for each in self.assumed]
            fetched = self.database.store.fetch(requests, self.newest_read_version)
            return all(map(Assumption.holds, self.assumed, fetched.answers))
        return False
