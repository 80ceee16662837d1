"""What a transaction looked at, for commit to check that nobody wrote to it meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rome.fast_tuples import tuple_maker
from rome.storage.keys import row_key_of
from rome.storage.store import LAST, Check, Demand, Fetched, Get, Lookup, Range, Request, Whole
from rome.transaction.reads.row_cache import TableRequest

check_of = tuple_maker(Check)


def key_range(key: bytes) -> tuple[bytes, bytes]:
    """The range that holds just this key."""
    return key, key + b"\x00"


class ReadSet:
    """Key ranges that were read, each with the version it was read at first."""

    def __init__(self, version: int) -> None:
        """`version`: the present read version."""
        self.version = version
        self._seen: dict[tuple[bytes, bytes, bytes, Demand], int] = {}

    def constraint(self, request: Request) -> None:
        """A constraint read at the present read version: what it found must still be there, and nothing else."""
        self._add(request, Demand.SAME_KEYS)

    def unwritten(self, request: Request) -> None:
        """What this request finds at the present read version must not be written to until commit, at any level."""
        self._add(request, Demand.UNWRITTEN)

    def note(self, targets: Iterable[TableRequest], fetched: Fetched) -> None:
        """A fetch was answered, and all reads are to be checked (SERIALIZABLE), not only constraint reads."""
        for target, answer in zip(targets, fetched.answers, strict=True):
            self._add(target.request, Demand.UNWRITTEN)
            if isinstance(target.request, Lookup):
                for entry in answer[0]:
                    row = target.request.rows, *key_range(row_key_of(entry)), Demand.UNWRITTEN
                    self._seen.setdefault(row, self.version)

    def checks(self) -> Iterator[Check]:
        """What commit is to check."""
        for (space, begin, end, demand), since in self._seen.items():
            yield check_of((space, begin, end, since, demand))

    def _add(self, request: Request, demand: Demand) -> None:
        for space, begin, end in _ranges(request):
            self._seen.setdefault((space, begin, end, demand), self.version)


def _ranges(request: Request) -> Iterator[tuple[bytes, bytes, bytes]]:
    if isinstance(request, Get):
        for key in request.keys:
            yield (request.space, *key_range(key))
    elif isinstance(request, Range):
        yield request.space, request.begin, request.end
    elif isinstance(request, Whole):
        yield request.space, b"", LAST
    else:
        space = request.index if isinstance(request, Lookup) else request.space
        for begin, end in request.ranges:
            yield space, begin, end
