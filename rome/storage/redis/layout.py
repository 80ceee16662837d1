"""The layout of a database on Redis: the names of its keys, its state and the bytes of its log.

All names begin with `{rome:DATABASE}:`, one hash tag, so that a database is on one node of a cluster.

    meta        hash    state     numbers of 8 bytes each: the newest version, the horizon (the oldest version that
                                  can be read), the bytes of the log, the catalog's version; then digests of 8 bytes
                                  each: of the incarnation, of the catalog's version, of the newest one
                        format    the number of the format, in digits
                        s:SPACE   the last version that wrote to a space, 8 bytes; one field for each space
                        +TOKEN    the version of each commit in the log, 8 bytes
                        locked    is there while there are row locks: commits then look for them in `locks`
    s:SPACE     hash    the values of a space, by key; of a space of entries: a sorted set, all scores 0
    o:SPACE     zset    the keys of a space of values, all scores 0: its order
    counters    hash    counter → the last number that was allocated
    log         stream  entry VERSION-0: the end of the state before the commit, from the catalog's version on, and the
                        commit's undo records
    trim        list    of each commit in the log, oldest first: its size, its token, s:SPACE of the spaces it dropped
    digests     string  the digests of the last 131072 versions before the newest, each at its version modulo 131072
    locks       hash    name → its holder and deadline (lock.lua)
    wake:NAME   stream  releases of a lock that has waiters; it expires after a minute

All numbers are big-endian. The undo records of a commit, all lengths 4 bytes (commit.lua writes them):

    for each space      length, s:SPACE, length of what follows for this space
    for each key        length, key, length of the old value or -1, the old value
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from struct import Struct
from urllib.parse import quote

from rome.errors import FormatError
from rome.storage.store import FORMAT, Committed, Undo

FORMAT_DIGITS = b"%d" % FORMAT
"""The number of the format, as the meta hash and the arguments of scripts have it."""

LogEntry = tuple[bytes, Sequence[bytes]]
"""An entry of the stream: its id, and its fields and values alternately."""


class Layout:
    """The names of the Redis keys of one database.

    `values`: the name of the hash of a space's values, or of the sorted set of its entries, without the space at its
    end. `order`: the same of the sorted set of the keys of a space of values.
    """

    def __init__(self, database: str) -> None:
        """Quote braces as in a URL, because a brace would end the hash tag; and percent signs, to keep names unique."""
        self._prefix = b"{rome:%b}:" % quote(database, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`|~").encode()
        self.pattern = re.sub(r"([*?\[\\])", r"\\\1", self._prefix.decode()) + "*"
        """A pattern of all names, as ACLs have them."""
        self.meta = self._prefix + b"meta"
        self.counters = self._prefix + b"counters"
        self.locks = self._prefix + b"locks"
        self.log = self._prefix + b"log"
        self.values = self._prefix + b"s:"
        self.order = self._prefix + b"o:"
        self.types = {
            self.meta: b"hash",
            self.counters: b"hash",
            self.log: b"stream",
            self._prefix + b"trim": b"list",
            self._prefix + b"digests": b"string",
            self._prefix + b"locks": b"hash",
        }
        """The types of the keys that each database has, other than those of spaces."""

    def wake(self, lock: bytes) -> bytes:
        """Return the name of the stream of a lock's releases."""
        return self._prefix + b"wake:" + lock


STATE = Struct(">4Q8s8s8s")
"""The state: newest version, horizon, bytes of the log, catalog's version; digests of the incarnation, the catalog's
version and the newest version.
"""


def state_of_copy(state: bytes, incarnation: bytes) -> bytes:
    """Return the state of a copy, whose log begins at the version that it copies."""
    version, _, _, catalog, _, *digests = STATE.unpack(state)
    return STATE.pack(version, version, 0, catalog, incarnation, *digests)


def read_log(entries: Sequence[LogEntry]) -> list[Committed]:
    """Return the commits of a part of the log. Raise FormatError if it was not written by ROME."""
    return [_read_entry(entry_id, fields) for entry_id, fields in entries]


def state_before(entry: LogEntry) -> tuple[int, bytes, bytes]:
    """Return the state before a commit of the log: the catalog's version, its digest, the newest version's digest."""
    data = entry[1][1]  # only a catalog's version of 0, without digests, for the first commit
    return int.from_bytes(data[:8], "big"), data[16:24], data[24:]


def _read_entry(entry_id: bytes, fields: Sequence[bytes]) -> Committed:
    try:
        *_, data = fields
        if len(fields) != 4:
            raise ValueError("it does not have the fields of an entry")
        version = int(entry_id.removesuffix(b"-0"))
        return Committed(version, tuple(_read_undos(data)))
    except (ValueError, IndexError) as error:
        raise FormatError(f"entry {entry_id.decode('ascii', 'backslashreplace')} of the log does not decode") from error


def _read_undos(data: bytes) -> list[Undo]:
    """Decode the undo records of a commit, in one loop: a snapshot read does this for thousands of keys."""
    undos: list[Undo] = []
    length = int.from_bytes
    at = 0
    while at < len(data):
        middle = at + 4 + length(data[at : at + 4], "big")
        space = data[at + 6 : middle]
        at = middle + 4
        stop = at + length(data[middle:at], "big")
        while at < stop:
            middle = at + 4 + length(data[at : at + 4], "big")
            key = data[at + 4 : middle]
            at = middle + 4
            size = length(data[middle:at], "big", signed=True)
            if size < 0:
                undos.append(Undo(space, key, None))
            else:
                undos.append(Undo(space, key, data[at : at + size]))
                at += size
    if at != len(data):
        raise ValueError("the undos end too early")
    return undos
