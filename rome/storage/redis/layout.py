"""The layout of a database on Redis: the names of its keys, its state and the bytes of its log.

All names begin with `{rome:DATABASE}:`, one hash tag, so that a database is on one node of a cluster.

    meta          hash    state     numbers of 8 bytes each: the newest version, the horizon (the oldest version that
                                    can be read), the bytes of the log, the catalog's version; then digests of 8 bytes
                                    each: of the incarnation, of the catalog's version, of the newest one
                          format    the number of the format, in digits
                          pending   missing, empty, or of a commit in pieces (pieces.py): the numbers of the next and
                                    of the last piece, 4 bytes each, the bytes of the log so far, 8 bytes, the token. Or
                                    `!`: a mark that commit.lua was stopped halfway, and rows may be ahead of the state
                          s:SPACE   the last version that wrote to a space, 8 bytes, and 1 if the space has keys;
                                    one field for each space
                          +TOKEN    the version of each commit in the log, 8 bytes
                          counters  is there if `counters` has its mark
                          locked    is there while there are row locks: commits then look for them in `locks`
    s:SPACE       hash    the values of a space, by key; of a space of entries: a sorted set, all scores 0
    o:SPACE       zset    the keys of a space of values, all scores 0: its order
    counters      hash    counter → the last number that was allocated; and the field ``, a mark: if it is missing, the
                          server has evicted them
    heads         list    of each commit in the log, oldest first: its size in bytes, a float; the length of its token,
                          4 bytes, the token; the number of spaces it wrote, 4 bytes; s:SPACE of each, and then of each
                          space that it dropped, after 4 bytes of its length
    k:SPACE       stream  entry VERSION-PIECE (0 of a commit in one piece): what the commit wrote to the space
                          1.  the number of puts, in digits
                          2.  the keys, a msgpack array: those that were put, then those that were deleted
                          3.  the old values, a msgpack array, false where a key did not exist; or, if the values are
                              logged apart, `1` for each key that existed and `0` for the others
                          4.  the new values of the puts, a msgpack array; empty in a space of entries, or if apart
                          or of a space that the commit has emptied (past.py): `0`, the name that what it had has
                          now, a msgpack string; how many keys, a msgpack array of one number; and nothing
    v:SPACE       stream  entry VERSION-PIECE: old and new values of large commits. Readers mostly need the keys only
    history       string  of each of the last 131072 versions before the newest, at its version modulo 131072: digest,
                          the catalog's version and its digest, 8 bytes each
    staged:TOKEN  hash    the pieces of a commit by number: 1, 2, … write, 0, -1, … check (pieces.py)
    staged:TOKEN:s:SPACE, staged:TOKEN:o:SPACE: the same of a copy that is being made; they expire (copying.py)
    refused:TOKEN string  why a commit in pieces was refused, for ten minutes
    locks         hash    name → its holder and deadline (lock.lua)
    processes     hash    process → the note that it has left (notes.py); no part of the database's contents
    wake:NAME     stream  releases of a lock that has waiters; it expires after a minute

All numbers are big-endian. msgpack has strings (raw) for bytes, which the server's Lua decodes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from struct import Struct
from typing import Any, NamedTuple
from urllib.parse import quote

import msgpack

from rome.errors import FormatError
from rome.storage.store import FORMAT, MOST_DIGESTS

FORMAT_DIGITS = b"%d" % FORMAT
"""The number of the format, as the meta hash and the arguments of scripts have it."""

COUNTERS_FIELD = b"counters"
"""The field of the meta hash that says that the counters have their mark."""

COUNTERS_MARK = b""
"""A field of the hash of counters. If it is missing, the counters began anew."""

LogEntry = tuple[bytes, Sequence[bytes]]
"""An entry of a stream: its id, and its fields and values alternately."""


class Layout:
    """The names of the Redis keys of one database.

    `values`: the name of the hash of a space's values, or of the sorted set of its entries, without the space at its
    end. `order`: the same of the sorted set of the keys of a space of values; `keys_log` and `values_log`: of its log.
    """

    def __init__(self, database: str) -> None:
        """Quote braces as in a URL, because a brace would end the hash tag; and percent signs, to keep names unique."""
        self._prefix = b"{rome:%b}:" % quote(database, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`|~").encode()
        self.pattern = re.sub(r"([*?\[\\])", r"\\\1", self._prefix.decode()) + "*"
        """A pattern of all names, as ACLs have them."""
        self.meta = self._prefix + b"meta"
        self.counters = self._prefix + b"counters"
        self.locks = self._prefix + b"locks"
        self.heads = self._prefix + b"heads"
        self.history = self._prefix + b"history"
        self.processes = self._prefix + b"processes"
        self.values = self._prefix + b"s:"
        self.order = self._prefix + b"o:"
        self.keys_log = self._prefix + b"k:"
        self.values_log = self._prefix + b"v:"
        self.types = {
            self.meta: b"hash",
            self.counters: b"hash",
            self.heads: b"list",
            self.history: b"string",
            self.locks: b"hash",
        }
        """The types of the keys that each database has, other than those of spaces."""

    def staged(self, token: bytes) -> bytes:
        """Return the name of the pieces of a commit."""
        return self._prefix + b"staged:" + token

    def wake(self, lock: bytes) -> bytes:
        """Return the name of the stream of a lock's releases."""
        return self._prefix + b"wake:" + lock


STATE = Struct(">4Q8s8s8s")
"""The state: newest version, horizon, bytes of the log, catalog's version; digests of the incarnation, the catalog's
version and the newest version.
"""

_RECORD = Struct(">8sQ8s")
_HEAD = Struct(">dI")
_ARRAYS = {bytes((code,)) for code in (*range(0x90, 0xA0), 0xDC, 0xDD)}
"""The first bytes of msgpack arrays."""


def state_of_copy(state: bytes, incarnation: bytes) -> bytes:
    """Return the state of a copy, whose log begins at the version that it copies."""
    version, _, _, catalog, _, *digests = STATE.unpack(state)
    return STATE.pack(version, version, 0, catalog, incarnation, *digests)


def history_bounds(version: int) -> tuple[bytes, bytes]:
    """Return the first and the last place of a version's record in the history."""
    place = version % MOST_DIGESTS * _RECORD.size
    return b"%d" % place, b"%d" % (place + _RECORD.size - 1)


def read_record(record: bytes) -> tuple[bytes, int, bytes]:
    """Return the digest, the catalog's version and its digest of a record of the history. Raise FormatError."""
    if len(record) != _RECORD.size:
        raise FormatError("the history of the database is too short")
    found: tuple[bytes, int, bytes] = _RECORD.unpack(record)
    return found


def spaces_written(head: bytes) -> list[bytes]:
    """Return the spaces that a commit wrote, from its head in the log. Raise ValueError, struct.error."""
    return spaces_of_head(head)[0]


def spaces_of_head(head: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the spaces that a commit wrote, and those that it dropped. Raise ValueError, struct.error."""
    _, length = _HEAD.unpack_from(head)
    at = _HEAD.size + length + 4
    written = int.from_bytes(head[at - 4 : at], "big")
    spaces = []
    while at < len(head):
        end = at + 4 + int.from_bytes(head[at : at + 4], "big")
        spaces.append(head[at + 6 : end])
        at = end
    return spaces[:written], spaces[written:]


def version_of(entry_id: bytes) -> int:
    """Return the version of a log's entry. Raise ValueError."""
    return int(entry_id.partition(b"-")[0])


class Logged(NamedTuple):
    """The writes of a commit, or of a piece of it, to one space."""

    keys: list[bytes]
    puts: int
    """The first of the keys were put, the others deleted."""
    olds: Sequence[Any]
    """Of each key its old value, None if it did not exist. If the values are apart: True and False."""
    news: list[bytes]
    """The values of the puts; of a space of entries, and if the values are apart, none."""
    is_apart: bool


def read_logged(fields: Sequence[bytes]) -> Logged:
    """Return an entry of a space's log. Raise ValueError for one that ROME did not write."""
    puts, packed_keys, packed_olds, packed_news = fields
    keys = _unpack(packed_keys)
    if packed_olds[:1] in (b"0", b"1"):
        return Logged(keys, int(puts), [flag == 49 for flag in packed_olds], [], True)
    return Logged(keys, int(puts), read_olds(packed_olds), _unpack(packed_news) if packed_news else [], False)


def name_of_emptied(space: bytes, token: bytes) -> bytes:
    """Return the name that what a space had gets when the commit with this token empties it."""
    return b"%b@%b" % (space, token.hex().encode())


def read_emptied(fields: Sequence[bytes]) -> tuple[bytes, int] | None:
    """Return what an entry says of a space that was emptied: the name of what it had, and how many keys that are.

    None for other entries. Raise ValueError, TypeError for one that ROME did not write.
    """
    puts, packed_keys, packed_number, _ = fields
    if puts != b"0" or packed_keys[:1] in _ARRAYS:
        return None
    (number,) = _unpack(packed_number)
    name = msgpack.unpackb(packed_keys, raw=True)
    if type(name) is not bytes or type(number) is not int:
        raise ValueError("it has no name of what an emptied space had")
    return name, number


def read_olds(packed: bytes) -> list[bytes | None]:
    """Return old values, None where a key did not exist."""
    olds = _unpack(packed)
    return [None if old is False else old for old in olds]


def read_apart(fields: Sequence[bytes]) -> tuple[list[bytes | None], list[bytes]]:
    """Return the old values and the values of the puts of an entry of a space's values."""
    packed_olds, packed_news = fields
    return read_olds(packed_olds), _unpack(packed_news)


def _unpack(packed: bytes) -> Any:
    found = msgpack.unpackb(packed, raw=True)
    if type(found) is not list:
        raise ValueError("it is not an array")
    return found


def undecodable(name: bytes, entry_id: bytes) -> FormatError:
    """Return the error for an entry of a log that ROME did not write."""
    key = name.decode(errors="backslashreplace")
    return FormatError(f"entry {entry_id.decode('ascii', 'backslashreplace')} of the log in key {key} does not decode")
