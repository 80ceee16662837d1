"""Bytes in the store that ROME did not write: one of ROME's errors, mostly a FormatError that names the key."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from redis import Redis

import rome
from rome.errors import Error, FormatError
from rome.locks import LockManager
from rome.storage.registry import open_store
from rome.storage.store import CATALOG, LAST, Batch, Range, Store, Write, holds_entries
from rome.testing.servers import RedisServer, own_valkey_server
from rome.url import parse_url

STATEMENTS = (
    "SELECT * FROM t ORDER BY id",
    "SELECT id FROM t WHERE a = 'name3'",
    "SELECT t.id, p.id FROM t JOIN p ON p.id = t.p WHERE t.n > 3000",
    "SELECT count(*), max(n) OVER () FROM t",
    "UPDATE t SET n = n + 1 WHERE id = 5",
    "INSERT INTO t (p) VALUES (1)",
    "SELECT * FROM t WHERE id = 5 FOR UPDATE",
    "COMMIT",
    "DELETE FROM p",
    "DROP INDEX IF EXISTS t_n",
    "CREATE INDEX t_n ON t (n)",
    "COMMIT",
    "SELECT * FROM v",
)


def fill(url: str) -> None:
    with closing(rome.connect(url)) as connection:
        connection.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
        connection.execute(
            "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT UNIQUE, n INT DEFAULT 7, b BLOB, f REAL, "
            "p INT REFERENCES p (id), CHECK (n > -9))"
        )
        connection.execute("CREATE VIEW v AS SELECT a, n FROM t")
        connection.execute("INSERT INTO p VALUES (1)")
        connection.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?, ?, 1)",
            [(number, f"name{number}", number * 1000, bytes(range(number)), number / 7) for number in range(10)],
        )
        connection.commit()


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return other bytes: with a byte changed, cut off, longer, or all of them random."""
    changed = bytearray(data)
    if not data:
        return rng.randbytes(rng.randint(1, 30))
    kind = rng.randrange(5)
    if kind < 2:
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    elif kind == 2:
        del changed[rng.randrange(len(changed)) :]
    elif kind == 3:
        changed += rng.randbytes(rng.randint(1, 6))
    else:
        changed = bytearray(rng.randbytes(rng.randint(0, 30)))
    return bytes(changed)


def use(url: str) -> list[Error]:
    """Run the statements on a new connection; return the errors. Any exception that is not ROME's is raised."""
    errors: list[Error] = []
    try:
        connection = rome.connect(url)
    except Error as error:
        return [error]
    connection.database.forget()
    with closing(connection):
        for sql in STATEMENTS:
            try:
                connection.execute(sql).fetchall()
            except Error as error:
                errors.append(error)
                connection.rollback()
        for each in (lambda: use_lock(url), lambda: connection.database.store.lock_table().holders()):
            try:
                each()
            except Error as error:
                errors.append(error)
    return errors


def use_lock(url: str) -> None:
    manager = LockManager(url)
    try:
        with manager.lock("a lock", timeout=0):
            pass
    finally:
        manager.close()


# ── in every store, by its own interface ──────────────────────────────────────────────────────────────────────────


def spaces_of(store: Store) -> list[bytes]:
    """Return the spaces of the tables and indexes of `fill`."""
    numbers = range(1, 9)
    names = [CATALOG, *(b"r%d" % number for number in numbers), *(b"i%d" % number for number in numbers)]
    found = store.fetch([Range(name, b"", LAST) for name in names]).answers
    return [name for name, pairs in zip(names, found, strict=True) if pairs]


def damage(store: Store, rng: random.Random) -> str:
    """Change, or add, one key or value of a space; return what was done."""
    space = rng.choice(spaces_of(store))
    (pairs,) = store.fetch([Range(space, b"", LAST)]).answers
    key, value = rng.choice(pairs)
    writes = []
    if holds_entries(space) or rng.random() < 0.3:
        other = mutated(key, rng)[:200] or b"\0"
        if other >= LAST:
            other = b"\x14" + other
        writes = [Write(space, key, None)] if rng.random() < 0.5 else []
        writes.append(Write(space, other, value))
    else:
        writes = [Write(space, key, mutated(value, rng) or b"\xc1")]
    store.commit(Batch(uuid.uuid4().bytes, writes=writes))
    return f"{space!r}: {writes}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_any_bytes_in_a_space(url: str, seed: int) -> None:
    rng = random.Random(f"{url.partition(':')[0]} {seed}")
    for _ in range(20):
        fill(url)
        with closing(open_store(parse_url(url))) as store:
            done = damage(store, rng)
        try:
            use(url)
        except Exception as error:
            error.add_note(done)
            raise
        rome.drop_database(url)


def test_a_row_that_does_not_decode_is_named(url: str) -> None:
    fill(url)
    with closing(open_store(parse_url(url))) as store:
        spaces = [space for space in spaces_of(store) if space.startswith(b"r")]
        ((*_, (key, _)),) = store.fetch([Range(spaces[-1], b"", LAST)]).answers
        store.commit(Batch(uuid.uuid4().bytes, writes=[Write(spaces[-1], key, b"\x93\x01")]))
    errors = use(url)
    assert errors
    assert any(isinstance(error, FormatError) and "of table t does not decode" in str(error) for error in errors)


# ── in the other keys of Redis ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with own_valkey_server() as server:
        yield server


@pytest.fixture
def admin(server: RedisServer) -> Iterator[Any]:
    with Redis(server.host, server.port) as client:
        client.flushall()
        yield client


def change_hash(admin: Any, key: bytes, rng: random.Random) -> None:
    field = rng.choice(sorted(admin.hkeys(key)))
    value = admin.hget(key, field)
    if rng.random() < 0.2:
        admin.hdel(key, field)
        field = mutated(field, rng)
    admin.hset(key, field, mutated(value, rng))


def change_zset(admin: Any, key: bytes, rng: random.Random) -> None:
    member = rng.choice(admin.zrange(key, 0, -1))
    if rng.random() < 0.7:
        admin.zrem(key, member)
    admin.zadd(key, {mutated(member, rng): 0})


def change_list(admin: Any, key: bytes, rng: random.Random) -> None:
    admin.lset(key, 0, mutated(admin.lindex(key, 0), rng))


def change_string(admin: Any, key: bytes, rng: random.Random) -> None:
    admin.set(key, mutated(admin.get(key), rng))


def change_stream(admin: Any, key: bytes, rng: random.Random) -> None:
    (entry_id, fields), *_ = admin.xrevrange(key)
    admin.xdel(key, entry_id)
    last = int(entry_id.partition(b"-")[0]) + rng.choice((0, 1, 1000))
    admin.xadd(key, {name: mutated(value, rng) for name, value in fields.items()}, id=f"{last}-{rng.randrange(1, 3)}")


CHANGES: dict[bytes, Callable[[Any, bytes, random.Random], None]] = {
    b"hash": change_hash,
    b"zset": change_zset,
    b"list": change_list,
    b"string": change_string,
    b"stream": change_stream,
}


def replace_by_other_type(admin: Any, key: bytes, _rng: random.Random) -> None:
    is_set = admin.type(key) == b"string"
    admin.delete(key)
    admin.sadd(key, "x") if is_set else admin.set(key, "x")


def remove(admin: Any, key: bytes, _rng: random.Random) -> None:
    admin.delete(key)


def change(admin: Any, key: bytes, rng: random.Random) -> None:
    CHANGES[admin.type(key)](admin, key, rng)


def keys_of(admin: Any) -> list[bytes]:
    return sorted(admin.scan_iter(b"{rome:app}:*", count=1000))


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize("how", [change, replace_by_other_type, remove], ids=lambda how: how.__name__)
def test_any_bytes_in_any_key_of_redis(
    server: RedisServer, admin: Any, how: Callable[[Any, bytes, random.Random], None]
) -> None:
    url = server.url("app")
    fill(url)
    use(url)
    store = open_store(parse_url(url))
    store.lock_table().acquire([b"aa lock"], b"somebody else", 60.0, False)
    store.close()
    rng = random.Random(how.__name__)
    whole = {key: admin.dump(key) for key in keys_of(admin)}
    for key in whole:
        for _ in range(8 if how is change else 1):
            how(admin, key, rng)
            try:
                errors = use(url)
            except Exception as error:
                error.add_note(f"{key!r}")
                raise
            assert not [error for error in errors if "unexpected answer" in str(error)]
            if how is replace_by_other_type and not key.startswith((b"{rome:app}:o:", b"{rome:app}:wake")):
                assert any(isinstance(error, FormatError) and key.decode() in str(error) for error in errors), (
                    key,
                    errors,
                )
            admin.delete(*keys_of(admin))
            for name, dump in whole.items():
                admin.restore(name, 0, dump)
