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
from itertools import chain
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
from rome.storage.columns import ChecksByKind, WritesBySpace, checks_of, writes_of
from rome.storage.redis.layout import FORMAT_DIGITS, name_of_emptied
from rome.storage.store import FORMAT, OLDEST_FORMAT, Batch, Demand, conflict, history_lost, holds_entries, too_old

Demanded = tuple[bytes, int, Demand | None]
"""Space, version, and a demand. None: no other owner has locked these rows."""
Groups = dict[Demanded, tuple[list[bytes], list[bytes]]]
"""By demand: the keys of which it is made, and the begins and ends, alternately, of ranges."""
WritesToSpace = tuple[bytes, Mapping[bytes, bytes | None], Sequence[bytes], int]
"""Space, puts, keys to delete, and how many of the puts, the first, must be new."""
Fresh = dict[bytes, Collection[bytes]]
"""Space → keys."""

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
_NO_NAMES: dict[bytes, bytes] = {}
_NO_NUMBERS: dict[bytes, int] = {}
_NO_VALUES: dict[bytes, bytes | None] = {}
_DEMANDS: dict[Demand | None, bytes] = {None: b"l", **{demand: demand.value for demand in Demand}}
_DEMANDS_OF_WRITTEN = {demand: code.upper() for demand, code in _DEMANDS.items()}


class Limits:
    """The limits of the log, for the headers of commits. `in_cluster`: the server is a node of a cluster."""

    def __init__(self, most_commits: int, most_bytes: int, in_cluster: bool = False) -> None:
        self._limits = most_commits, most_bytes
        self._in_cluster = 2 * in_cluster

    def header(self, *counts: int, look: bool = False, step: bool = False) -> bytes:
        """Return where a header begins. `look`: check the permission. `step`: do a step of a commit in pieces."""
        return _HEADER(*self._limits, look + self._in_cluster, step, *counts)


def arguments_with(
    limits: Limits,
    token: bytes,
    checks: Mapping[Demanded, tuple[Sequence[bytes], Sequence[bytes]]],
    writes: Iterable[WritesToSpace],
    seen: bytes = b"",
    head: bytes = b"",
    drops: Sequence[bytes] = (),
    advances: Mapping[bytes, int] = _NO_NUMBERS,
    expects: Mapping[bytes, int] = _NO_NUMBERS,
    owner: bytes = b"",
    look: bool = False,
    emptied: Mapping[bytes, bytes] = _NO_NAMES,
    of_written: bool = False,
) -> list[bytes]:
    """Return the arguments of commit.lua for a batch, or a piece of one.

    `drops`: the spaces to drop. `emptied`: those to empty, and the name of what they had. `advances`: counters and
    what they are at least. `expects`: of these, what they must be before. `look`: check the user's permission.
    `of_written`: the key of each check is the number of a piece, which writes the keys to be checked.
    """
    demands = _DEMANDS_OF_WRITTEN if of_written else _DEMANDS
    heads: list[bytes] = []
    checked: list[bytes] = []
    lists: list[bytes] = []
    for (space, since, demand), (keys, bounds) in checks.items():
        heads.append(_CHECK(since, demands[demand], len(keys), len(bounds) // 2))
        checked.append(_words(space)[0])
        lists += keys
        lists += bounds
    for space, puts, deletions, new in writes:
        heads.append(_WRITE(new, len(puts)))
        name, _, has_values = _words(space)
        lists += (name, pack([*puts, *deletions]))
        if has_values:
            lists.append(pack([*puts.values()]))
    for space, moved in emptied.items():
        heads.append(_WRITE(0, 0))
        lists += (b"s:" + space, pack(moved))
    written = len(heads) - len(checked)
    begin = limits.header(len(checked), written, len(drops), len(advances), look=look)
    header = b"".join((begin, *heads, owner))
    if drops:
        lists += [b"s:" + space for space in drops]
    for counter, value in advances.items():
        expected = expects.get(counter)
        lists += (counter, b"%d" % value if expected is None else b"%d %d" % (value, expected))
    return [FORMAT_DIGITS, token, header, seen, head, *checked, *lists]


@lru_cache(maxsize=4096)
def _words(space: bytes) -> tuple[bytes, bytes, bool]:
    """Return the name of a space in arguments and in the head of a commit; and whether its keys have values."""
    name = b"s:" + space
    return name, _LENGTH(len(name)) + name, not holds_entries(space)


def arguments_of(batch: Batch, limits: Limits, look: bool) -> list[bytes]:
    """Return the arguments of commit.lua for a batch; none if it must be committed in pieces.

    `look`: check the user's permission to write.
    """
    writes, given = writes_of(batch), checks_of(batch)
    if writes and sum(map(len, writes.values())) + len(batch.checks) > LARGE * MOST_KEYS:
        return []
    checks, fresh = grouped(given, writes)
    drops = [*dict.fromkeys(batch.drops)]
    divided = [_divided(space, values, fresh.get(space, ())) for space, values in writes.items()]
    emptied, written = _NO_NAMES, writes
    if batch.empties:
        emptied = {space: name_of_emptied(space, batch.token) for space in batch.empties}
        written = {**writes, **dict.fromkeys(emptied, _NO_VALUES)}
        drops += emptied.values()  # when this commit leaves the log
    seen, head = seen_of(batch.seen), head_of(batch.token, written, drops)
    arguments = arguments_with(
        limits,
        batch.token,
        checks,
        divided,
        seen,
        head,
        drops,
        batch.advances,
        batch.expects,
        batch.owner,
        look,
        emptied,
    )
    size = sum(map(len, arguments))
    if size > LARGE * MOST_BYTES and writes:
        # A batch that has little besides one large value gains nothing by pieces.
        longest = max(len(value or b"") for values in writes.values() for value in values.values())
        if size > 2 * longest:
            return []
    return arguments


def _divided(space: bytes, values: dict[bytes, bytes | None], new: Collection[bytes]) -> WritesToSpace:
    """Return the writes to a space. `new`: the keys of puts that must be new."""
    if new and len(new) < len(values):
        values = {**dict.fromkeys(new), **values}  # the new keys first
    deletions: Sequence[bytes] = ()
    if None in values.values():
        deletions = [key for key, value in values.items() if value is None]
        values = {key: value for key, value in values.items() if value is not None}
    return space, values, deletions, len(new)


def seen_of(seen: Mapping[int, bytes]) -> bytes:
    """Return the argument with the versions and digests that a batch depends on."""
    data = b""
    for version, digest in seen.items():
        data += _NUMBER(version) + digest
    return data


def head_of(token: bytes, written: Collection[bytes], dropped: Iterable[bytes]) -> bytes:
    """Return the head of a commit in the log, without its size."""
    data = _LENGTH(len(token)) + token + _LENGTH(len(written))
    for space in chain(written, dropped):
        data += _words(space)[1]
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


def grouped(checks: ChecksByKind, writes: WritesBySpace) -> tuple[Groups, Fresh]:
    """Group checks by space, version and demand, keys and ranges apart.

    Return the groups, and the keys (by space) that are put and must be new: these are checked by the write itself.
    """
    of_ranges, of_keys = checks
    groups: Groups = {}
    fresh: Fresh = {}
    for kind, keys in of_keys.items():
        space, _, demand = kind
        is_put = demand is _MUST_BE_NEW and space in writes and None not in map(writes[space].get, keys)
        if is_put and space not in fresh:
            fresh[space] = keys
        else:
            groups[kind] = [*keys], []
    for space, begin, end, since, demand in of_ranges:
        kind = space, since, demand
        if kind not in groups:
            groups[kind] = [], []
        groups[kind][1].extend((begin, end))
    return groups, fresh
