"""The permissions that ROME needs on Redis: a user who lacks one writes nothing, and the documented ones suffice."""

import re
import uuid
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from redis import Redis

import rome
from rome.errors import FormatError, InternalError, StoreUnavailable
from rome.locks import LockManager
from rome.storage.redis.acl import COPYING, SHARED_LOCKS, least_rule
from rome.storage.redis.connection import text_of
from rome.storage.redis.layout import Layout
from rome.storage.registry import open_store
from rome.storage.store import Batch, Write
from rome.testing import check_database
from rome.testing.servers import own_valkey_server
from rome.testing.store_suite.administration import Administration
from rome.testing.store_suite.committing import Committing
from rome.testing.store_suite.locking import Locking
from rome.url import parse_url

pytestmark = pytest.mark.server

SCRIPTS = ("begin", "clear", "commit", "counter", "lock", "publish", "repair", "upgrade")
SECURITY = Path(__file__).parents[2] / "SECURITY.md"
COMMON_READ = {"HMGET"}
"""The commands by which every script begins: a user without them is refused before anything else."""


def sent_by(script: str) -> set[str]:
    """Return the commands that a script sends, whether it asks for them or not."""
    text = text_of(script)
    names = re.findall(r"\bp?call\((?:[\w ]+ and )?'([A-Z]+)'(?: or '([A-Z]+)')?", text)
    queued = re.findall(r"= \{'([A-Z]+)', ", text)  # commit.lua
    return {name for pair in names for name in pair if name} | set(re.findall(r"send\('([A-Z]+)'", text)) | set(queued)


def asked_by(script: str) -> set[str]:
    lists = re.findall(r"check_permission\(\{(.*?)\}\)", text_of(script), re.DOTALL)
    return {name for each in lists for name in re.findall(r"\{'([A-Z]+)'", each)}


def documented() -> list[str]:
    """Return the least rule of SECURITY.md, without the password."""
    words = re.search(r"ACL SETUSER app on >PASSWORD (.*?)```", SECURITY.read_text(encoding="utf-8"), re.DOTALL)
    assert words is not None
    return words[1].split()


def test_the_rule_is_documented():
    assert documented() == least_rule("{rome:app}:*").split()
    security = " ".join(SECURITY.read_text(encoding="utf-8").split())
    assert COPYING in security
    assert SHARED_LOCKS in security


def test_the_rule_of_a_database_with_special_characters():
    assert Layout("a*[b").pattern == r"{rome:a\*\[b}:*"


@pytest.fixture(scope="module")
def server():
    with own_valkey_server() as server:
        yield server


@pytest.fixture
def admin(server):
    with Redis(server.host, server.port) as client:
        client.flushall()
        yield client


def url_of(server, database="app", options=""):
    return f"rome+redis://app:pw@{server.host}:{server.port}/{database}{options}"


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_asks_for_every_command_before_its_first_write(script):
    first_asked = {
        "begin": {"HLEN"},
        "clear": {"HGET", "HKEYS"},
        "commit": {
            "MEMORY",
            "RENAME",
        },  # without them, dropped tables count as nothing; all rows are deleted one by one
        "lock": {"TIME"},
        "publish": {"HGET", "EXISTS"},
        "repair": {"HGET", "HKEYS", "LRANGE", "XRANGE"},
    }
    assert sent_by(script) - asked_by(script) <= first_asked.get(script, set()) | COMMON_READ


def test_a_commit_refuses_nothing_after_its_first_write():
    """After it, the script returns a version, the end of a step, or the server's own error, unchanged."""
    before, after = text_of("commit").split("-- From here on nothing is refused.\n")
    assert re.search(r"'(HSET|RPUSH|XADD|SETRANGE)', (?!META, 'pending', '')", calls_in(before)) is None
    assert set(re.findall(r"\breturn (.*)", after)) == {"marked", "added", "{'step'}", "version"}
    assert "error_reply" not in after


def calls_in(text):
    """Return the calls in a script that are sent at once, without those of a refused or lost step, which end it."""
    ends = re.sub(r"^ *call\('(?:HSET', META, 'pending'|SET|UNLINK)\W.*$", "", text, flags=re.MULTILINE)
    return "\n".join(re.findall(r"\bp?call\(.*", ends))


@pytest.mark.parametrize("command", sorted(sent_by("commit") - {"MEMORY", "RENAME", "HMGET", "EXISTS"}))
def test_a_commit_is_refused_before_anything_is_written(server, admin, command):
    admin.acl_deluser("app")
    admin.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all")
    url = url_of(server, options="?log_commits=5")
    with closing(rome.connect(url)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)")
        connection.execute("INSERT INTO t VALUES (1, 0)")
        connection.commit()
    admin.execute_command("ACL", "SETUSER", "app", f"-{command.lower()}")
    before = {key: admin.dump(key) for key in admin.scan_iter()}
    store = open_store(parse_url(url))
    with pytest.raises(StoreUnavailable, match="does not let this user"):
        store.commit(batch())
    store.close()
    assert {key: admin.dump(key) for key in admin.scan_iter()} == before
    admin.execute_command("ACL", "SETUSER", "app", f"+{command.lower()}")
    with closing(rome.connect(url)) as connection:
        for number in range(20):
            connection.execute("UPDATE t SET n = ? WHERE id = 1", (number,))
            connection.commit()
    assert check_database(url) == []


def batch(advances=None):
    return Batch(uuid.uuid4().bytes, writes=[Write(b"r1", b"a", b"1")], advances=advances or {})


@pytest.mark.parametrize("command", ["hset", "xadd", "zadd", "zrem", "hdel", "setrange"])
def test_a_permission_that_is_taken_away_between_two_commits(server, admin, command):
    """Readers see nothing of the commit that is stopped halfway, and the next writer undoes it."""
    admin.acl_deluser("app")
    admin.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all")
    wide = "x" * 3000
    with closing(rome.connect(url_of(server))) as connection, closing(rome.connect(url_of(server))) as old:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT UNIQUE, s TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", [(1, 1, "one"), (2, 2, wide), (3, 3, wide)])
        connection.commit()
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", [(4, 4, "four")])
        connection.commit()
        rows = [(1, 1, "one"), (2, 2, wide), (3, 3, wide), (4, 4, "four")]
        assert old.execute("SELECT * FROM t WHERE id = 1").fetchall() == rows[:1]
        admin.execute_command("ACL", "SETUSER", "app", f"-{command}")
        connection.execute("UPDATE t SET n = n + 10, s = s || 'y' WHERE id < 3")
        connection.execute("DELETE FROM t WHERE id = 3")
        connection.execute("INSERT INTO t VALUES (5, 5, 'five')")
        with pytest.raises((StoreUnavailable, InternalError)):
            connection.commit()
        admin.execute_command("ACL", "SETUSER", "app", f"+{command}")
        with closing(rome.connect(url_of(server))) as reader:
            assert reader.execute("SELECT * FROM t ORDER BY id").fetchall() == rows
            assert reader.execute("SELECT n FROM t WHERE n > 0 ORDER BY n").fetchall() == [(1,), (2,), (3,), (4,)]
        assert old.execute("SELECT * FROM t ORDER BY id").fetchall() == rows
        connection.execute("UPDATE t SET n = 6 WHERE id = 1")
        connection.commit()
        rows[0] = (1, 6, "one")
        assert connection.execute("SELECT * FROM t ORDER BY id").fetchall() == rows
        assert connection.execute("SELECT id FROM t WHERE n > 0 ORDER BY n").fetchall() == [(2,), (3,), (4,), (1,)]
    assert check_database(url_of(server)) == []


@pytest.mark.parametrize("key", ["heads", "history", "counters", "o:r1"])
def test_a_key_of_another_type_is_refused_before_anything_is_written(server, admin, key):
    admin.acl_deluser("app")
    admin.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all")
    with closing(rome.connect(url_of(server))) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)")
        connection.commit()
    name = "{rome:app}:" + key
    admin.delete(name)
    admin.pfadd(name, "not ours") if key != "history" else admin.sadd(name, "not ours")
    before = {each: admin.dump(each) for each in admin.scan_iter()}
    store = open_store(parse_url(url_of(server)))
    with pytest.raises(InternalError, match="WRONGTYPE"):
        store.commit(batch({b"t1": 5}))
    store.close()
    assert {each: admin.dump(each) for each in admin.scan_iter()} == before


@pytest.mark.parametrize("key", ["k:r1", "k:i1", "v:r1"])
def test_a_log_that_is_ahead_is_refused_before_anything_is_written(server, admin, key):
    """Another program has written to it, or put the rest back."""
    admin.acl_deluser("app")
    admin.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all")
    store = open_store(parse_url(url_of(server)))
    value = b"x" * (3000 if key == "v:r1" else 1)
    writes = [Write(b"r1", b"a", value), Write(b"i1", b"entry", b"")]
    assert store.commit(Batch(b"first", writes=writes)) == 1
    before = {each: admin.dump(each) for each in admin.scan_iter()}
    later = admin.xadd("{rome:app}:" + key, {"1": "x", "2": "y"}, "2-0")
    with_it = {each: admin.dump(each) for each in admin.scan_iter()}
    for attempt in range(2):
        with pytest.raises(FormatError, match=f"{key} .* has a log entry of a version that the database has not"):
            store.commit(Batch(b"again %d" % attempt, writes=writes))
        assert {each: admin.dump(each) for each in admin.scan_iter()} == with_it
    admin.xdel("{rome:app}:" + key, later)
    assert store.commit(Batch(b"third", writes=[Write(b"r2", b"a", b"1")])) == 2
    assert before.keys() < {*admin.scan_iter()}
    store.close()


class TestTheDocumentedUser(Committing, Locking, Administration):
    """A part of the conformance suite. `ROME_TEST_LEAST_PERMISSIONS` runs all tests so."""

    @pytest.fixture
    def store_url(self, server, admin):
        rule = least_rule("{rome:*")  # of all databases
        admin.execute_command("ACL", "SETUSER", "app", "reset", "on", ">pw", *rule.split(), *COPYING.split())
        return lambda database: url_of(server, quote(database, safe=""))


def test_the_documented_permissions_suffice(server, admin):
    admin.acl_deluser("app")
    admin.execute_command("ACL", "SETUSER", "app", "on", ">pw", *documented())
    url = url_of(server, options="?log_commits=5&isolation_level=SERIALIZABLE")
    with closing(rome.connect(url)) as connection, closing(rome.connect(url)) as other:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, n INT)")
        connection.execute("CREATE INDEX t_n ON t (n)")
        connection.commit()
        for number in range(20):
            connection.execute("INSERT INTO t (name, n) VALUES (?, ?)", (f"name {number}", number % 3))
            connection.commit()
        assert other.execute("SELECT count(*) FROM t WHERE n IN (1, 2)").fetchone() == (13,)
        connection.execute("SELECT * FROM t WHERE n = 1 FOR UPDATE").fetchall()
        connection.execute("UPDATE t SET n = 5 WHERE id = 100")
        connection.execute("DELETE FROM t WHERE n = 0")
        connection.commit()
        assert len(other.execute("SELECT * FROM t WHERE n = 0 ORDER BY name LIMIT 5").fetchall()) == 5
        other.rollback()
        connection.execute("DROP TABLE t")
        connection.commit()
    with LockManager(url).lock("x", timeout=1):
        pass
    assert check_database(url) == []
    rome.drop_database(url)
    assert admin.dbsize() == 0
