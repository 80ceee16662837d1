"""Databases of the former format are brought to this one; they are refused until then."""

import json
import struct
import uuid

import apsw
import msgpack
import pytest
from click.testing import CliRunner

import rome
from rome.cli.main import main
from rome.errors import FormatError, InterfaceError, SnapshotTooOld
from rome.storage.registry import open_store, upgrade_store
from rome.storage.store import FORMAT, Batch, Check, Write
from rome.testing import check_database
from rome.url import parse_url

ROWS = [(number, number % 3, f"row {number}") for number in range(1, 30)]


def fill(url):
    """Make a database with a dropped table in the log; return digests of its versions."""
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, s TEXT UNIQUE)")
        connection.execute("CREATE TABLE dropped (id INTEGER PRIMARY KEY, n INT UNIQUE)")
        connection.execute("INSERT INTO dropped VALUES (1, 1)")
        connection.commit()
        for row in ROWS:
            connection.execute("INSERT INTO t VALUES (?, ?, ?)", row)
            connection.commit()
        connection.execute("DROP TABLE dropped")
    store = open_store(parse_url(url))
    digests = {version: store.fetch([], version).digest for version in range(1, store.version() + 1)}
    store.close()
    return digests


def assert_upgraded(url, digests):
    newest = max(digests)
    with pytest.raises(FormatError, match="has format 2, and this ROME reads format 3 only: run `rome upgrade URL`"):
        open_store(parse_url(url)).version()
    assert CliRunner().invoke(main, ["upgrade", url]).output == "the database had format 2, and has format 3 now\n"
    assert upgrade_store(parse_url(url)) == FORMAT
    assert CliRunner().invoke(main, ["upgrade", url]).output == "the database has format 3 already\n"
    assert json.loads(CliRunner().invoke(main, ["upgrade", url, "--json"]).output) == {
        "before": FORMAT,
        "format": FORMAT,
    }
    store = open_store(parse_url(url))
    assert (store.version(), store.fetch([]).digest) == (newest, digests[newest])
    with pytest.raises(SnapshotTooOld):
        store.fetch([], newest - 1)
    assert list(store.changes(newest)) == []
    check = Check(b"r9", b"a", b"b", 5)
    assert store.commit(Batch(uuid.uuid4().bytes, [check], [Write(b"r9", b"z", b"1")], seen={5: digests[5]})) > newest
    assert store.commit(Batch(uuid.uuid4().bytes, [], [Write(b"r9", b"z", None)], drops=[b"r9"])) > newest
    store.close()
    with rome.connect(url) as connection:
        assert connection.execute("SELECT * FROM t ORDER BY id").fetchall() == ROWS
        connection.execute("UPDATE t SET n = 7 WHERE s = 'row 3'")
        connection.commit()
        assert connection.execute("SELECT id FROM t WHERE n = 7").fetchall() == [(3,)]
    assert check_database(url) == []


def test_a_file(tmp_path):
    url = f"rome+file://{tmp_path}/app.rome"
    digests = fill(url)
    file = apsw.Connection(str(tmp_path / "app.rome"))
    with file:
        for version, changes in file.execute("SELECT version, changes FROM log WHERE changes NOT NULL").fetchall():
            fields = iter(msgpack.unpackb(changes))
            undos = [
                item
                for space, its_changes in zip(fields, fields, strict=True)
                for key, old, _ in zip(*msgpack.unpackb(its_changes), strict=True)
                for item in (space, key, old)
            ]
            file.execute("UPDATE log SET changes = ? WHERE version = ?", (msgpack.packb(undos), version))
        file.execute("ALTER TABLE log RENAME COLUMN changes TO undos")
        file.execute("PRAGMA user_version = 2")
    file.close()
    assert_upgraded(url, digests)


@pytest.mark.server
def test_a_redis_database(redis_server):
    name = f"upgrade-{uuid.uuid4().hex}"
    url = redis_server.url(name)
    digests = fill(url)
    with redis_server.admin() as admin:
        prefix = f"{{rome:{name}}}:"
        former = {"digests": b"", "trim": []}
        history = admin.get(prefix + "history")
        former["digests"] = b"".join(history[at : at + 8] for at in range(0, len(history), 24))
        for head in admin.lrange(prefix + "heads", 0, -1):
            size, length = struct.unpack_from(">dI", head)
            token = head[12 : 12 + length]
            at, spaces = 16 + length, []
            while at < len(head):
                (width,) = struct.unpack_from(">I", head, at)
                spaces.append(head[at : at + 4 + width])
                at += 4 + width
            (written,) = struct.unpack_from(">I", head, 12 + length)
            former["trim"].append(struct.pack(">dI", size, length) + token + b"".join(spaces[written:]))
        admin.delete(*admin.scan_iter(prefix + "k:*"), prefix + "heads", prefix + "history")
        admin.set(prefix + "digests", former["digests"])
        admin.rpush(prefix + "trim", *former["trim"])
        admin.xadd(prefix + "log", {"before": "", "undos": ""}, id="1-0")
        admin.hset(prefix + "meta", "format", "2")
        admin.hdel(prefix + "meta", "pending")
        assert_upgraded(url, digests)
        left = {key.decode().removeprefix(prefix) for key in admin.scan_iter(prefix + "*")}
    assert not left & {"log", "trim", "digests"}
    assert not any(key.startswith(("s:r3", "s:i4", "o:r3")) for key in left)
    rome.drop_database(url)


@pytest.mark.server
def test_a_database_that_is_empty_too_old_or_too_new(redis_server, tmp_path):
    url = redis_server.url(f"upgrade-{uuid.uuid4().hex}")
    assert upgrade_store(parse_url(url)) == FORMAT
    parsed = parse_url(url)
    with redis_server.admin() as admin:
        meta = f"{{rome:{parsed.database}}}:meta"
        for number in (1, 4):
            admin.hset(meta, "format", number)
            with pytest.raises(FormatError):
                upgrade_store(parse_url(url))
        admin.delete(meta)
    file = apsw.Connection(str(tmp_path / "other"))
    file.execute("CREATE TABLE t (a)")
    file.close()
    with pytest.raises(FormatError, match="is not a ROME database"):
        upgrade_store(parse_url(f"rome+file://{tmp_path}/other"))
    with pytest.raises(InterfaceError, match="does not exist"):
        upgrade_store(parse_url(f"rome+file://{tmp_path}/none"))
    with pytest.raises(InterfaceError, match="'memory' has no format"):
        upgrade_store(parse_url("rome+memory:///any"))
