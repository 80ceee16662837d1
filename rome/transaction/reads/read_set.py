"""The read set: key ranges that a transaction has read, for commit to check that no other transaction wrote to them.

SELECT … WHERE id = 7             under SERIALIZABLE: [key 7, key 7] is unwritten since the read version
INSERT INTO t (name) VALUES (?)   at every level: the range of that name in the unique index has the same keys
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from rome.catalog.codec import catalog_key
from rome.catalog.model import Table
from rome.fast_tuples import tuple_maker
from rome.storage.keys import row_key_of
from rome.storage.store import CATALOG, LAST, Check, Demand, Fetched, Get, Lookup, Range, Request, Scan
from rome.transaction.reads.row_cache import TableRequest

KeysToCheck = defaultdict[tuple[bytes, int, Demand], dict[bytes, None]]
"""Space, version and demand → the keys of which it is demanded, each once (see `storage.columns.KeyChecks`)."""

check_of = tuple_maker(Check)
_UNWRITTEN = Demand.UNWRITTEN


def key_range(key: bytes) -> tuple[bytes, bytes]:
    """Return the range that holds only this key."""
    return key, key + b"\x00"


class ReadSet:
    """Key ranges that were read, each with the version at which it was read first."""

    def __init__(self, version: int) -> None:
        """`version`: the present read version."""
        self.version = version
        self._keys: dict[tuple[bytes, Demand, bytes], int] = {}
        self._ranges: dict[tuple[bytes, bytes, bytes, Demand], int] = {}
        self._definitions: dict[str, int] = {}

    def constraint(self, table: Table, request: Request) -> None:
        """Note a constraint read at the present read version: at commit its range must have the same keys.

        The table's definition must be the same, too.
        """
        self._add(request, Demand.SAME_KEYS)
        self._definitions.setdefault(table.name, self.version)

    def assumption(self, table: Table, request: Request, demand: Demand) -> None:
        """Let commit check that the keys of a request are as demanded then, and the table's definition as now.

        The rows' own keys are checked as they are written.
        """
        if demand is not Demand.NO_KEYS or request[0] != table.row_codec.space:
            self._add(request, demand)
        self._definitions.setdefault(table.name, self.version)

    def rebase(self) -> None:
        """Let everything that was noted refer to the present read version."""
        self._keys = dict.fromkeys(self._keys, self.version)
        self._ranges = dict.fromkeys(self._ranges, self.version)
        self._definitions = dict.fromkeys(self._definitions, self.version)

    def unwritten(self, request: Request) -> None:
        """Let commit check, at any level, that nobody has written what this request finds at the read version."""
        self._add(request, Demand.UNWRITTEN)

    def note(self, requests: Iterable[TableRequest], fetched: Fetched) -> None:
        """Note what a fetch has read, for a level at which commit checks all reads (SERIALIZABLE)."""
        for (_, request), answer in zip(requests, fetched.answers, strict=True):
            self._add(request, Demand.UNWRITTEN)
            if isinstance(request, Lookup):
                for entry in answer[0]:
                    self._keys.setdefault((request.rows, Demand.UNWRITTEN, row_key_of(entry)), self.version)

    def add_checks(self, of_ranges: list[Check], of_keys: KeysToCheck) -> None:
        """Add the checks for commit."""
        if self._ranges:
            of_ranges += [check_of((*place, since, demand)) for (*place, demand), since in self._ranges.items()]
        for (space, demand, key), since in self._keys.items():
            of_keys[space, since, demand][key] = None
        for name, since in self._definitions.items():
            of_keys[CATALOG, since, _UNWRITTEN][catalog_key(name)] = None

    def _add(self, request: Request, demand: Demand) -> None:
        version = self.version
        if type(request) is Get:
            for key in request.keys:
                self._keys.setdefault((request.space, demand, key), version)
        else:
            for space, begin, end in ranges_of(request):
                self._ranges.setdefault((space, begin, end, demand), version)


def ranges_of(request: Request) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield space, begin and end of each key range that a request reads."""
    if isinstance(request, Get):
        for key in request.keys:
            yield (request.space, *key_range(key))
    elif isinstance(request, Range):
        yield request.space, request.begin, request.end
    elif isinstance(request, Scan):
        yield request.space, b"", LAST
    else:
        space = request.index if isinstance(request, Lookup) else request.space
        for begin, end in request.ranges:
            yield space, begin, end
