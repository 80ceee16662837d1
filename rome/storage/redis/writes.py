r"""Pack a write batch as the arguments of commit.lua, and make errors of the script's refusals.

                                           in the header                          s:r1, and then
    Check(b"r1", key, key + b"\\0", 7)      since 7, demand u, 1 key, 0 ranges     key
    Write(b"r1", key, value)               0 new puts, 1 put                      [key] [value]
    Check(b"r1", new, …, NO_KEYS) and
    Write(b"r1", new, value)               1 new put, 2 puts                      [new, key] [value, value]
    all keys of r1 deleted                 0 new puts, 0 puts                     name of what it had

Checks are grouped by space, version and demand, writes by space: the cost of a script is the number of its arguments.
The keys and the values of a space are one argument each, a msgpack array, which goes into the log as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from struct import Struct

from rome.errors import (
    DatabaseError,
    FormatError,
    InternalError,
    KeysLocked,
    NumbersTaken,
    OperationalError,
    StoreUnavailable,
)
from rome.packing import Packing
from rome.storage.columns import checks_of, writes_of
from rome.storage.redis.layout import FORMAT_DIGITS, name_of_emptied
from rome.storage.store import (
    FORMAT,
    OLDEST_FORMAT,
    Batch,
    Check,
    Demand,
    conflict,
    history_lost,
    holds_entries,
    too_old,
)

Demanded = tuple[bytes, int, Demand | None]
"""Space, version, and a demand. None: no other owner has locked these rows."""

MOST_KEYS = 4000
MOST_BYTES = 1024 * 1024
"""The bounds of a piece of a commit; one key with its value may be larger. A key takes the server some microseconds."""

LARGE = 4
"""A batch that is so many times larger is committed in pieces."""

REFUSALS = (
    b"conflict",
    b"taken",
    b"absent",
    b"locked",
    b"counted",
    b"too old",
    b"lost",
    b"format",
    b"state",
    b"ahead",
    b"unstaged",
    b"forgotten",
)
"""The first words of a script's reply when it refuses."""

_HEADER = Struct(">QQB?4I").pack
_CHECK = Struct(">QcII").pack
_WRITE = Struct(">II").pack
_NUMBER = Struct(">Q").pack
_LENGTH = Struct(">I").pack
pack = Packing(use_bin_type=False).pack
"""Packs a list of bytes as a msgpack array of strings, which the server's Lua decodes."""
_MUST_BE_NEW = Demand.NO_KEYS
DEMANDS: dict[Demand | None, bytes] = {None: b"l", **{demand: demand.value for demand in Demand}}
DEMANDS_OF_WRITTEN = {demand: code.upper() for demand, code in DEMANDS.items()}
"""The key of such a check is the number of a piece, which writes the keys to be checked."""


class Limits:
    """The limits of the log, for the headers of commits. `in_cluster`: the server is a node of a cluster."""

    def __init__(self, most_commits: int, most_bytes: int, in_cluster: bool = False) -> None:
        self._limits = most_commits, most_bytes
        self._in_cluster = 2 * in_cluster

    def header(self, *counts: int, look: bool = False, step: bool = False) -> bytes:
        """Return where a header begins. `look`: check the permission. `step`: do a step of a commit in pieces."""
        return _HEADER(*self._limits, look + self._in_cluster, step, *counts)


class BatchArguments:
    """Collects the arguments of commit.lua for a batch, or for a piece of one."""

    def __init__(self, limits: Limits, token: bytes) -> None:
        self._limits = limits
        self._token = token
        self._heads: list[bytes] = []
        self._checked: list[bytes] = []
        self._lists: list[bytes] = []
        self._spaces = b""

    def check(
        self,
        kind: Demanded,
        keys: Collection[bytes],
        bounds: Sequence[bytes] = (),
        demands: Mapping[Demand | None, bytes] = DEMANDS,
    ) -> None:
        """Check keys, or ranges by their begins and ends, alternately."""
        space, since, demand = kind
        self._heads.append(_CHECK(since, demands[demand], len(keys), len(bounds) // 2))
        self._checked.append(_words(space)[0])
        self._lists += keys
        self._lists += bounds

    def write(self, space: bytes, values: Mapping[bytes, bytes | None], new: Collection[bytes] = ()) -> None:
        """Write to a space. `new`: the keys of puts that must be new."""
        if new and len(new) < len(values):
            values = {**dict.fromkeys(new), **values}  # the new keys first
        keys, found = [*values], [*values.values()]
        puts = len(keys)
        if None in found:
            found = [value for value in found if value is not None]
            puts = len(found)
            if puts:  # they come first, in their order
                keys.sort(key=lambda key: values[key] is None)
        name, word, has_values = _words(space)
        self._heads.append(_WRITE(len(new), puts))
        self._lists += (name, pack(keys))
        if has_values:
            self._lists.append(pack(found))
        self._spaces += word

    def empty(self, space: bytes, moved: bytes) -> None:
        """Empty a space. `moved`: the name of what it had."""
        name, word, _ = _words(space)
        self._heads.append(_WRITE(0, 0))
        self._lists += (name, pack(moved))
        self._spaces += word

    def packed(self, seen: bytes = b"", owner: bytes = b"", *, look: bool = False) -> list[bytes]:
        """Return the arguments, without anything that is done once. `look`: check the user's permission."""
        header = self._limits.header(len(self._checked), self._written, 0, 0, look=look)
        return self._with(header, owner, seen, b"", ())

    def packed_with_rest(
        self, batch: Batch, drops: Sequence[bytes], seen: bytes = b"", *, look: bool = False
    ) -> list[bytes]:
        """Return the arguments, with all that a batch does once, and the head of the commit in the log."""
        token, written, advances = self._token, self._written, batch.advances
        header = self._limits.header(len(self._checked), written, len(drops), len(advances), look=look)
        head = _LENGTH(len(token)) + token + _LENGTH(written) + self._spaces
        rest: list[bytes] = []
        for space in drops:
            name, word, _ = _words(space)
            rest.append(name)
            head += word
        for counter, value in advances.items():
            expected = batch.expects.get(counter)
            rest += (counter, b"%d" % value if expected is None else b"%d %d" % (value, expected))
        return self._with(header, batch.owner, seen, head, rest)

    @property
    def _written(self) -> int:
        return len(self._heads) - len(self._checked)

    def _with(self, header: bytes, owner: bytes, seen: bytes, head: bytes, rest: Sequence[bytes]) -> list[bytes]:
        header = b"".join((header, *self._heads, owner))
        return [FORMAT_DIGITS, self._token, header, seen, head, *self._checked, *self._lists, *rest]


@lru_cache(maxsize=4096)
def _words(space: bytes) -> tuple[bytes, bytes, bool]:
    """Return the name of a space in arguments and in the head of a commit; and whether its keys have values."""
    name = b"s:" + space
    return name, _LENGTH(len(name)) + name, not holds_entries(space)


def arguments_of(batch: Batch, limits: Limits, look: bool) -> list[bytes]:
    """Return the arguments of commit.lua for a batch; none if it must be committed in pieces.

    `look`: check the user's permission to write.
    """
    writes, (of_ranges, of_keys) = writes_of(batch), checks_of(batch)
    number = sum(map(len, writes.values())) + sum(map(len, of_keys.values())) + len(of_ranges)
    if writes and number > LARGE * MOST_KEYS:
        return []
    arguments = BatchArguments(limits, batch.token)
    new: dict[bytes, Collection[bytes]] = {}
    for kind, keys in of_keys.items():
        space, _, demand = kind
        # Keys that are put and must be new are checked by the write itself.
        is_put = demand is _MUST_BE_NEW and space in writes and None not in map(writes[space].get, keys)
        if is_put and space not in new:
            new[space] = keys
        else:
            arguments.check(kind, keys)
    if of_ranges:
        for kind_of_range, bounds in bounds_by_kind(of_ranges).items():
            arguments.check(kind_of_range, (), bounds)
    for space, values in writes.items():
        arguments.write(space, values, new.get(space, ()))
    drops: Sequence[bytes] = ()
    if batch.drops or batch.empties:
        emptied = {space: name_of_emptied(space, batch.token) for space in batch.empties}
        for space, name in emptied.items():
            arguments.empty(space, name)
        drops = [*dict.fromkeys(batch.drops), *emptied.values()]  # the latter when this commit leaves the log
    found = arguments.packed_with_rest(batch, drops, seen_of(batch.seen), look=look)
    size = sum(map(len, found))
    if size > LARGE * MOST_BYTES and writes:
        # A batch that has little besides one large value gains nothing by pieces.
        longest = max(len(value or b"") for values in writes.values() for value in values.values())
        if size > 2 * longest:
            return []
    return found


def bounds_by_kind(checks: Iterable[Check]) -> dict[Demanded, list[bytes]]:
    """Return the begins and ends, alternately, of checks of ranges, by what is demanded."""
    found: dict[Demanded, list[bytes]] = {}
    for space, begin, end, since, demand in checks:
        found.setdefault((space, since, demand), []).extend((begin, end))
    return found


def seen_of(seen: Mapping[int, bytes]) -> bytes:
    """Return the argument with the versions and digests that a batch depends on."""
    data = b""
    for version, digest in seen.items():
        data += _NUMBER(version) + digest
    return data


_FAILED_DEMANDS = {b"conflict": Demand.UNWRITTEN, b"taken": Demand.NO_KEYS, b"absent": Demand.A_KEY}


def error_of(refusal: Sequence[bytes], server: str, database: str) -> DatabaseError:
    """Return the error for a script's refusal."""
    kind = refusal[0]
    if kind in _FAILED_DEMANDS:
        _, values, key, *since = refusal
        return conflict(bytes(values[2:]), bytes(key), _FAILED_DEMANDS[kind], int(since[0]) if since else 0)
    if kind == b"locked":
        return KeysLocked(refusal[1:])
    if kind == b"counted":
        return NumbersTaken(refusal[1])
    if kind == b"too old":
        return too_old(int(refusal[1]))
    if kind == b"lost":
        return history_lost(int(refusal[1]))
    if kind == b"state":
        return FormatError(f"the state in key meta of database {database!r} on {server} does not decode")
    if kind == b"ahead":
        return InternalError(
            f"commit {int(refusal[1])} of database {database!r} on {server} was stopped halfway, because its user lost "
            "a permission or another program wrote to the database's keys: rows may be ahead of the state. Nothing was "
            "written; restore the database"
        )
    if kind == b"forgotten":
        return StoreUnavailable(
            f"a large commit to database {database!r} on {server} was finished by another client, so long ago that it "
            "is not known any more whether it was applied or refused"
        )
    if kind == b"unstaged":
        return OperationalError(
            f"the pieces of a large commit or copy to database {database!r} on {server} were removed before it was "
            "applied, because the client was interrupted for too long, or by another program; nothing was written"
        )
    return other_format(refusal[1], server, database)


def other_format(digits: bytes, server: str, database: str) -> FormatError:
    """Return the error for a database of another format."""
    if not digits.isdigit():
        return FormatError(f"the format in key meta of database {database!r} on {server} does not decode: {digits!r}")
    number = int(digits)
    if number < OLDEST_FORMAT:
        return FormatError(
            f"database {database!r} on {server} was written by a ROME from before its first release, which this one "
            "can't read; drop its keys"
        )
    if number < FORMAT:
        return FormatError(
            f"database {database!r} on {server} has format {number}, and this ROME reads format {FORMAT} only: run "
            "`rome upgrade URL` once, after all older clients were stopped"
        )
    return FormatError(
        f"database {database!r} on {server} has format {number}, written by a newer ROME; "
        f"this one knows formats up to {FORMAT}"
    )
