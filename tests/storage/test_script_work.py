"""No script keeps a server from its other clients for long: its work is counted, in commands, keys and bytes."""

import struct
from collections.abc import Iterator

import msgpack
import pytest
from redis import Redis

from rome.storage.keys import encode
from rome.storage.redis.pieces import check_pieces, parts_of, write_pieces
from rome.storage.redis.store import RedisStore
from rome.storage.redis.writes import LARGE, MOST_BYTES, MOST_KEYS, Limits, arguments_of, writes_of
from rome.storage.registry import open_store
from rome.storage.store import Batch, Check, Demand, Write
from rome.testing.servers import own_valkey_server
from rome.testing.store_suite.harness import INDEX, ROWS, commit, delete, put, put_entry
from rome.url import parse_url

LIMITS = Limits(10_000, 64 * 1024 * 1024)
SMALL = 64
"""Bytes of a key, of what stands before the keys of a piece, and of what msgpack adds to one."""


def large(rows: int) -> Batch:
    """Return a batch of new rows of 100 bytes, each with an entry, and as many deletions."""
    keys = [encode((number,)) for number in range(2 * rows)]
    writes = [write for key in keys[:rows] for write in (put(key, b"x" * 100), put_entry(1, key))]
    checks = [Check(ROWS, key, key + b"\0", 0, Demand.NO_KEYS) for key in keys[:rows]]
    return Batch(b"t" * 16, checks, [*writes, *(delete(key) for key in keys[rows:])])


def pieces_of(batch: Batch) -> list[tuple[int, int]]:
    """Return of each piece of a batch how many keys it writes or checks, and its bytes."""
    writes = writes_of(batch)
    parts = parts_of(writes)
    found = []
    for piece in (*check_pieces(batch, writes, parts, LIMITS), *write_pieces(batch, writes, parts, LIMITS)):
        arguments = msgpack.unpackb(piece, raw=True)
        checks, spaces = struct.unpack_from(">2I", arguments[2], 18)
        lists = arguments[5 + checks :]
        keys = sum(len(msgpack.unpackb(lists[1], raw=True)) for _ in range(spaces)) if spaces else len(lists)
        found.append((keys, len(piece)))
    return found


def test_each_piece_is_bounded_and_their_number_is_linear() -> None:
    few, many = pieces_of(large(5_000)), pieces_of(large(20_000))
    assert all(keys <= MOST_KEYS for keys, _ in many)
    assert all(size <= MOST_BYTES + MOST_KEYS * SMALL for _, size in many)
    # Rows, deletions, entries; the checks that keys are new, and that rows are not locked.
    assert sum(keys for keys, _ in many) <= 20_000 * (3 + 1 + 2) + len(many)
    assert len(many) <= 4 * len(few)


def test_pieces_are_bounded_by_bytes() -> None:
    rows = [put(encode((number,)), b"x" * 50_000) for number in range(200)]
    sizes = [size for _, size in pieces_of(Batch(b"t" * 16, (), rows))]
    assert max(sizes) <= MOST_BYTES + 50_000 + SMALL * len(rows)
    assert len(sizes) <= 2 * sum(sizes) // MOST_BYTES + 3


def test_keys_that_are_checked_and_written_are_sent_once() -> None:
    keys = [encode((number,)) for number in range(20_000)]
    checks = [Check(ROWS, key, key + b"\0", 7) for key in keys]
    found = pieces_of(Batch(b"t" * 16, checks, [put(key, b"x" * 100) for key in keys]))
    assert sum(keys for keys, _ in found) <= 20_000 + 2 * len(found)


def test_what_is_larger_is_done_in_pieces() -> None:
    def in_one(*writes: Write) -> bool:
        return bool(arguments_of(Batch(b"t" * 16, (), writes), LIMITS, look=False))

    keys = [encode((number,)) for number in range(LARGE * MOST_KEYS + 1)]
    assert in_one(*map(put, keys[:-1]))
    assert not in_one(*map(put, keys))
    assert in_one(put(keys[0], b"x" * (2 * LARGE * MOST_BYTES)))  # one large row can't be divided
    assert not in_one(*(put(key, b"x" * MOST_BYTES) for key in keys[: LARGE + 1]))


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[RedisStore, Redis]]:
    with own_valkey_server() as own, Redis(own.host, own.port) as admin:
        store = open_store(parse_url(own.url("work")))
        assert isinstance(store, RedisStore)
        yield store, admin
        store.close()


def commands(admin: Redis) -> dict[str, int]:
    """Return the commands since the last call by name, those that scripts have sent among them."""
    stats = admin.info("commandstats")
    admin.config_resetstat()
    ours = {"info", "config|resetstat", "eval", "evalsha"}
    found = {name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()}
    return {name: calls for name, calls in found.items() if name not in ours}


@pytest.mark.server
def test_the_commands_of_small_commits(server: tuple[RedisStore, Redis]) -> None:
    store, admin = server
    key, other = encode((1,)), encode((2,))
    version = commit(store, put(key), put_entry(1, key), put(other))
    seen = {version: store.fetch([]).digest}
    update = Batch(b"update", [Check(ROWS, key, key + b"\0", version)], [put(key, b"new")], seen=seen)
    commands(admin)
    assert store.commit(update) == version + 1
    assert commands(admin) == {"hmget": 2, "hset": 3, "rpush": 1, "xread": 1, "xadd": 1, "setrange": 1}
    new = encode((3,))
    assert commit(store, put(new), put_entry(1, new)) == version + 2
    found = commands(admin)
    assert sum(found.values()) <= 15, found


@pytest.mark.server
def test_a_check_does_not_read_the_piece_that_writes_its_keys(server: tuple[RedisStore, Redis]) -> None:
    """Each step reads which piece is next, and that piece: nobody else has written the keys, or locked them."""
    store, admin = server
    keys = [encode((number,)) for number in range(20_000)]
    version = commit(store, *(put(key, b"old") for key in keys))
    checks = [Check(ROWS, key, key + b"\0", version) for key in keys]
    seen = {version: store.fetch([]).digest}
    batch = Batch(b"update of all", checks, [put(key, b"new") for key in keys], seen=seen)
    commands(admin)
    assert store.commit(batch) == version + 1
    assert commands(admin)["hget"] == 2 * len(pieces_of(batch))


@pytest.mark.server
def test_an_old_writer_looks_at_a_bounded_part_of_the_log(server: tuple[RedisStore, Redis]) -> None:
    store, admin = server
    kept = encode((0,))
    version = commit(store, put(kept), put_entry(0, kept))
    seen = {version: store.fetch([]).digest}
    for turn in range(20):
        commit(store, *(put(encode((1000 * turn + number,)), b"") for number in range(1, 1000)))

    def scan(space: bytes) -> tuple[object, int]:
        """Run the script for a commit with a check; return its reply and how often it has read from the log."""
        batch = Batch(b"old" + space, [Check(space, kept, kept + b"\0", version)], [put(b"x", b"", b"r9")], seen=seen)
        arguments = arguments_of(batch, store._commits.limits, look=False)
        commands(admin)
        reply, _ = store._server.run_script("commit", (store._layout.meta,), *arguments)
        return reply, commands(admin).get("xrange", 0)

    reply, reads = scan(ROWS)
    assert reply == [b"behind"]
    assert reads <= 4  # of 1, 2, 4 and 8 commits
    reply, reads = scan(INDEX)
    assert isinstance(reply, int)
    assert reads == 0  # nobody has written to this space
    batch = Batch(b"old", [Check(ROWS, kept, kept + b"\0", version)], [put(kept, b"mine")], seen=seen)
    assert store.commit(batch) == reply + 1
    assert commands(admin)["xrange"] <= 6
