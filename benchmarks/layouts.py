#!/usr/bin/env python3
"""Compare Redis layouts for rows and indexes: memory per row, commands, and latency of reads by key and by index.

    python benchmarks/layouts.py                      # on a temporary Valkey server
    python benchmarks/layouts.py redis://host:6379/9  # on an empty database of another server

Every layout has the same 20,000 rows of 15 columns (msgpack, about 250 bytes) in key order, and one index on a column
whose values are shared by 1, 10, 100 or 1000 rows. Every read also reads the version, in the same MULTI.

L1   a hash per table, a lexicographic sorted set of its keys, another of index entries; lookups by a Lua script
L1b  the same, but a lookup takes two rounds of native commands: the entries, then their rows
L2   a string per row, sorted sets as in L1, and a set of keys per index value; lookups by SORT BY nosort GET
L3   one lexicographic sorted set whose members are key and row together; lookups by a Lua script
"""

from __future__ import annotations

import random
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Sequence

import hiredis
import msgpack
from redis.connection import Connection, ConnectionPool

from rome.storage.keys import encode, entry, prefix_end, row_key_of

ROWS = 20_000
SIZES = (1, 10, 100, 1000)
TAG = "{layouts}"
META = f"{TAG}:meta"
Command = tuple[str | bytes | int, ...]


class Client:
    """One connection, whose reads include the version in one MULTI."""

    def __init__(self, url: str) -> None:
        self.connection: Connection = ConnectionPool.from_url(url).make_connection()

    def call(self, *commands: Command) -> list[object]:
        self.connection.send_packed_command([b"".join(hiredis.pack_command(command) for command in commands)])
        return [self.connection.read_response(disable_decoding=True) for _ in commands]

    def ask(self, *commands: Command) -> list[object]:
        return self.call(("MULTI",), ("HMGET", META, "version", "catalog"), *commands, ("EXEC",))[-1][1:]

    def script(self, text: str) -> bytes:
        return self.call(("SCRIPT", "LOAD", text))[0]

    def memory(self) -> int:
        info = self.call(("INFO", "memory"))[0]
        return int(info.split(b"used_memory:")[1].split(b"\r")[0])


def make_rows() -> list[tuple[bytes, bytes, list[bytes]]]:
    """Return (key, row, the encoded value of the indexed column for each of SIZES)."""
    pick = random.Random(7)
    rows = []
    for number in range(ROWS):
        name = str(uuid.UUID(int=pick.getrandbits(128)))
        columns = [1, number, name, f"host-{number % 97}", None, "2026-10-11 12:13:14.123456", None, 0, "active"]
        text = f"the description of number {number}, as long as such texts are in the tables of services, or longer"
        columns += [text, 4096, 2, "10.0.0.1", name[::-1], pick.random()]
        groups = [encode([size, number // size]) for size in SIZES]
        rows.append((encode([number]), msgpack.packb(columns), groups))
    return rows


class HashLayout:
    """Layout L1."""

    name = "L1 hash + zsets, Lua"
    lookup_rounds = 1
    lookup = """
        local entries = redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2], 'BYLEX')
        local keys, byte = {}, string.byte
        for i, e in ipairs(entries) do
            local high, low = byte(e, -2, -1)
            keys[i] = string.sub(e, -2 - high * 256 - low, -3)
        end
        local rows = {}
        for i = 1, #keys, 5000 do
            for _, row in ipairs(redis.call('HMGET', KEYS[2], unpack(keys, i, math.min(i + 4999, #keys)))) do
                rows[#rows + 1] = row
            end
        end
        return {entries, rows}"""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.sha = client.script(self.lookup)
        self.rows, self.keys, self.index = (f"{TAG}:{self.name[:2]}:{part}" for part in ("rows", "keys", "index"))

    def put(self, key: bytes, row: bytes, groups: Sequence[bytes]) -> list[Command]:
        entries = [part for group in groups for part in (0, entry(group, key))]
        return [("HSET", self.rows, key, row), ("ZADD", self.keys, 0, key), ("ZADD", self.index, *entries)]

    def update(self, key: bytes, row: bytes) -> list[Command]:
        return [("HSET", self.rows, key, row)]

    def get(self, keys: Sequence[bytes]) -> list[object]:
        return self.client.ask(("HMGET", self.rows, *keys))[0]

    def find(self, group: bytes) -> list[object]:
        command = ("EVALSHA", self.sha, 2, self.index, self.rows, b"[" + group, b"(" + prefix_end(group))
        return self.client.ask(command)[0][1]

    def scan(self) -> list[object]:
        return self.client.ask(("HGETALL", self.rows))[0]


class TwoRoundLayout(HashLayout):
    """Layout L1b."""

    name = "L1b hash + zsets, two rounds"
    lookup_rounds = 2

    def find(self, group: bytes) -> list[object]:
        entries = self.client.ask(("ZRANGE", self.index, b"[" + group, b"(" + prefix_end(group), "BYLEX"))[0]
        return self.get([row_key_of(found) for found in entries])


class StringLayout(HashLayout):
    """Layout L2."""

    name = "L2 strings + sets, SORT"

    def put(self, key: bytes, row: bytes, groups: Sequence[bytes]) -> list[Command]:
        put = super().put(key, row, groups)[1:]
        sets = [("SADD", self.index.encode() + group, key) for group in groups]
        return [("SET", self.rows.encode() + key, row), *put, *sets]

    def update(self, key: bytes, row: bytes) -> list[Command]:
        return [("SET", self.rows.encode() + key, row)]

    def get(self, keys: Sequence[bytes]) -> list[object]:
        return self.client.ask(("MGET", *(self.rows.encode() + key for key in keys)))[0]

    def find(self, group: bytes) -> list[object]:
        source, pattern = self.index.encode() + group, self.rows.encode() + b"*"
        return self.client.ask(("SORT", source, "BY", "nosort", "GET", "#", "GET", pattern))[0][1::2]

    def scan(self) -> list[object]:
        keys = self.client.ask(("ZRANGE", self.keys, "-", "+", "BYLEX"))[0]
        return self.get(keys)


class MemberLayout(HashLayout):
    """Layout L3."""

    name = "L3 rows in a zset, Lua"
    lookup = """
        local entries, rows = redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2], 'BYLEX'), {}
        local byte = string.byte
        for i, e in ipairs(entries) do
            local high, low = byte(e, -2, -1)
            local key = string.sub(e, -2 - high * 256 - low, -3)
            rows[i] = redis.call('ZRANGE', KEYS[2], '[' .. key, '(' .. key .. '\\255', 'BYLEX')[1]
        end
        return {entries, rows}"""

    def put(self, key: bytes, row: bytes, groups: Sequence[bytes]) -> list[Command]:
        entries = [part for group in groups for part in (0, entry(group, key))]
        return [("ZADD", self.rows, 0, key + row), ("ZADD", self.index, *entries)]

    def update(self, key: bytes, row: bytes) -> list[Command]:
        whole = (b"[" + key, b"(" + prefix_end(key))
        return [("ZREMRANGEBYLEX", self.rows, *whole), ("ZADD", self.rows, 0, key + row)]

    def get(self, keys: Sequence[bytes]) -> list[object]:
        found = self.client.ask(*(("ZRANGE", self.rows, b"[" + k, b"(" + prefix_end(k), "BYLEX") for k in keys))
        return [members[0] for members in found]

    def scan(self) -> list[object]:
        return self.client.ask(("ZRANGE", self.rows, "-", "+", "BYLEX"))[0]


def timed(function: Callable[[], object], seconds: float = 0.25) -> float:
    """Return the median time of a call in microseconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e6


def measure(layout: HashLayout, rows: list[tuple[bytes, bytes, list[bytes]]]) -> dict[str, str]:
    """Fill a layout, read from it, and return its column of the table."""
    client, pick = layout.client, random.Random(3)
    before, begin = client.memory(), time.perf_counter()
    for at in range(0, ROWS, 500):
        client.call(*(command for row in rows[at : at + 500] for command in layout.put(*row)))
    column = {
        "insert, µs/row": f"{(time.perf_counter() - begin) / ROWS * 1e6:.1f}",
        "memory, bytes/row": f"{(client.memory() - before) / ROWS:.0f}",
        "commands to insert": str(len(layout.put(*rows[0]))),
        "commands to update": str(len(layout.update(*rows[0][:2]))),
        "rounds of a lookup": str(layout.lookup_rounds),
    }
    for size in SIZES:
        keys = [rows[number][0] for number in pick.sample(range(ROWS), size)]
        assert len(layout.get(keys)) == size
        column[f"get {size}, µs"] = f"{timed(lambda keys=keys: layout.get(keys)):.0f}"
    for place, size in enumerate(SIZES):
        group = rows[pick.randrange(ROWS)][2][place]
        assert len(layout.find(group)) == size
        column[f"lookup {size}, µs"] = f"{timed(lambda group=group: layout.find(group)):.0f}"
    column[f"scan {ROWS}, ms"] = f"{timed(layout.scan) / 1000:.0f}"
    client.call(("FLUSHDB", "SYNC"))
    return column


def main(url: str | None) -> None:
    if url is None:
        from rome.testing.servers import valkey_server

        with valkey_server() as server:
            compare(f"redis://{server.host}:{server.port}")
    else:
        compare(url)


def compare(url: str) -> None:
    client, rows = Client(url), make_rows()
    if client.call(("DBSIZE",)) != [0]:
        sys.exit(f"{url} is not empty")
    print(f"{ROWS} rows, {statistics.mean(len(row) for _, row, _ in rows):.0f} bytes each, with 4 index entries each")
    columns = {}
    for kind in (HashLayout, TwoRoundLayout, StringLayout, MemberLayout):
        columns[kind.name] = measure(kind(client), rows)
    print("\n" + " " * 22 + "".join(f"{name:>30}" for name in columns))
    for line in next(iter(columns.values())):
        print(f"{line:22}" + "".join(f"{column[line]:>30}" for column in columns.values()))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
