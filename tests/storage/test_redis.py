"""The store on Redis: the conformance suite, and failures of the server."""

import multiprocessing
import threading
import uuid

import pytest
from redis import Redis

from rome.errors import (
    Conflict,
    DataError,
    FormatError,
    InterfaceError,
    InternalError,
    OperationalError,
    SnapshotTooOld,
    StoreUnavailable,
)
from rome.locks import LockManager
from rome.storage.redis import connection as connections
from rome.storage.registry import open_store
from rome.storage.store import CATALOG, FORMAT, Check, Count, Demand, Get, Lookup, Range, holds_entries
from rome.testing.servers import own_valkey_server
from rome.testing.store_suite import StoreSuite
from rome.testing.store_suite.harness import INDEX, ROWS, ask, commit, delete, put, put_entry
from rome.url import parse_url

pytestmark = pytest.mark.server

ALL = ((b"", b"\xff"),)


class TestRedisStore(StoreSuite):
    @pytest.fixture
    def store_url(self, redis_server):
        return redis_server.url


@pytest.fixture
def url(redis_server):
    return redis_server.url(f"test {uuid.uuid4().hex}")


@pytest.fixture
def store(url):
    store = open_store(parse_url(url))
    yield store
    store.clear()
    store.close()


@pytest.fixture
def admin(redis_server):
    """Return a client of the server, for what administrators and accidents do."""
    with redis_server.admin() as client:
        yield client


@pytest.fixture
def own_server():
    """Start a server with a password; tests may change its settings."""
    with own_valkey_server() as server:
        with Redis(server.host, server.port) as client:
            client.config_set("requirepass", "s3cret/password")
        yield server


@pytest.fixture
def own_admin(own_server):
    with Redis(own_server.host, own_server.port, password="s3cret/password") as client:
        yield client


def with_option(url, option):
    return url + ("&" if "?" in url else "?") + option


def keys_of(admin, store):
    return set(admin.scan_iter(store._layout.meta.removesuffix(b"meta") + b"*", count=1000))


def rounds(store, work):
    before = store.stats.rounds
    work()
    return store.stats.rounds - before


class TestRounds:
    def test_each_call_is_one_from_the_beginning(self, store, admin):
        admin.script_flush()
        assert rounds(store, lambda: commit(store, put(b"a"), put_entry(1, b"a"))) == 1
        assert rounds(store, lambda: store.fetch([Lookup(INDEX, ROWS, ALL), Range(ROWS, limit=1), Range(INDEX)])) == 1
        assert rounds(store, lambda: store.fetch([Get(ROWS, (b"a",))], 1)) == 1
        assert rounds(store, lambda: store.allocate(b"ids", 1)) == 1
        assert rounds(store, store.version) == 1

    def test_commands_and_rows_are_counted(self, store):
        commit(store, put(b"a", b"12345"), put(b"b", b"678"))
        _, commands, rows, size = store.stats.snapshot()
        store.fetch([Get(ROWS, (b"a", b"x", b"b"))])
        after = store.stats
        assert (after.commands - commands, after.rows - rows) == (5, 2)
        assert after.bytes - size > 8

    def test_no_requests_are_one_command(self, store):
        commit(store, put(b"a"))
        before = store.stats.commands
        store.fetch([])
        assert store.stats.commands == before + 1


class TestScripts:
    def test_are_sent_again_when_the_server_forgot_them(self, store, admin):
        commit(store, put(b"a"), put_entry(1, b"a"))
        admin.script_flush()
        assert commit(store, put(b"b"), checks=[Check(ROWS, b"b", b"b\0", 1)]) == 2
        admin.script_flush()
        assert len(ask(store, Lookup(INDEX, ROWS, ALL))) == 1
        admin.script_flush()
        assert store.allocate(b"ids", 1) == 1

    def test_compare_bytes_whatever_the_locale_of_the_server(self, store):
        commit(store, put(b"B"))
        commit(store, put(b"a"), put(b"\xc3\xa4"))
        commit(store, put(b"0"), checks=[Check(ROWS, b"A", b"a", 1)])
        commit(store, put(b"0"), checks=[Check(ROWS, b"a\0", b"\xc3\xa4", 1)])
        with pytest.raises(Conflict, match=r"wrote key a of space r1 after version 1,"):
            commit(store, put(b"0"), checks=[Check(ROWS, b"Z", b"b", 1)])

    def test_counters_beyond_the_numbers_of_lua(self, store):
        store.advance(b"ids", 2**53)
        assert store.allocate(b"ids", 1) == 2**53 + 1
        commit(store, put(b"a"), advances={b"ids": 2**53})
        assert store.allocate(b"ids", 3) == 2**53 + 2
        store.advance(b"ids", 2**63 - 2)
        assert store.allocate(b"ids", 1) == 2**63 - 1
        with pytest.raises(OperationalError, match="has given its last number"):
            store.allocate(b"ids", 1)


class TestConnections:
    def test_are_made_again_when_the_server_closed_them(self, store, admin):
        commit(store, put(b"a"))
        admin.client_kill_filter(_type="normal", skipme=True)
        assert ask(store, Get(ROWS, (b"a",))) == [b"value"]
        admin.client_kill_filter(_type="normal", skipme=True)
        assert commit(store, put(b"b"), token=b"token") == 2
        admin.client_kill_filter(_type="normal", skipme=True)
        assert commit(store, put(b"b"), token=b"token") == 2

    def test_a_commit_whose_answer_is_lost_is_applied_once(self, store, monkeypatch):
        commit(store, put(b"a"))
        connection = store._server._idle[-1]
        exchange = connection.exchange

        def exchange_and_lose(data, count):
            exchange(data, count)
            raise ConnectionError("the cable was pulled")

        monkeypatch.setattr(connection, "exchange", exchange_and_lose)
        check = Check(ROWS, b"a", b"a\0", 1)
        assert commit(store, put(b"a", b"2"), checks=[check]) == 2
        assert [committed.version for committed in store.changes(0)] == [1, 2]

    def test_a_broken_connection_is_not_used_again(self, store, monkeypatch):
        commit(store, put(b"a"))
        connection = store._server._idle[-1]
        monkeypatch.setattr(connection, "_reader", None)
        with pytest.raises(AttributeError):
            store.version()
        assert connection._socket.fileno() == -1
        assert ask(store, Get(ROWS, (b"a",))) == [b"value"]
        assert connection not in store._server._idle

    def test_are_made_again_however_often(self, store, admin):
        for _ in range(120):
            admin.client_kill_filter(_type="normal", skipme=True)
            assert store.version() == 0

    def test_a_server_that_stays_away(self):
        with own_valkey_server() as server:
            store = open_store(parse_url(server.url("app")))
            where = f"127.0.0.1:{server.port}"
        with pytest.raises(StoreUnavailable, match=where):
            commit(store, put(b"a"))

    def test_threads_have_connections_of_their_own(self, store):
        barrier = threading.Barrier(4)
        seen = []

        def work():
            barrier.wait()
            for number in range(50):
                commit(store, put(b"%d" % number))
                seen.append(ask(store, Count(ROWS, ALL)))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.version() == 200
        assert max(seen) == 50

    def test_a_child_of_fork_has_connections_of_its_own(self, store):
        commit(store, put(b"a"))
        fork = multiprocessing.get_context("fork")
        answers = fork.Queue()
        child = fork.Process(target=lambda: answers.put([commit(store, put(b"%d" % n)) for n in range(20)]))
        child.start()
        ours = [commit(store, put(b"%d" % n)) for n in range(20)]
        theirs = answers.get(timeout=300)
        child.join()
        assert sorted(ours + theirs) == list(range(2, 42))

    def test_a_unix_socket(self, tmp_path):
        socket = tmp_path / "s"
        with own_valkey_server(unixsocket=str(socket)):
            store = open_store(parse_url(f"rome+unix://{socket}?database=app"))
            assert commit(store, put(b"a")) == 1
            store.close()


class TestRefusals:
    def test_nobody_listens(self):
        with pytest.raises(StoreUnavailable, match=r"can't connect to 127\.0\.0\.1:1:"):
            open_store(parse_url("rome+redis://:hidden@127.0.0.1:1/app"))

    @pytest.mark.parametrize("login", ["", ":wr0ng@", "nobody:wr0ng@"])
    def test_a_wrong_password(self, own_server, login):
        with pytest.raises(StoreUnavailable) as caught:
            open_store(parse_url(f"rome+redis://{login}{own_server.host}:{own_server.port}/app")).version()
        assert f"{own_server.host}:{own_server.port}" in str(caught.value)
        assert "password" in str(caught.value)
        assert "wr0ng" not in str(caught.value)

    def test_the_right_password(self, own_server):
        login = ":s3cret%2Fpassword@"
        store = open_store(parse_url(f"rome+redis://{login}{own_server.host}:{own_server.port}/app?db=3"))
        assert commit(store, put(b"a")) == 1
        store.close()

    def test_a_database_number_that_the_server_lacks(self, redis_server):
        with pytest.raises(StoreUnavailable, match="DB index is out of range"):
            open_store(parse_url(redis_server.url("app").split("?")[0] + "?db=4711"))

    @pytest.mark.parametrize(
        ("command", "message"),
        [
            (("REPLICAOF", "127.0.0.1", "1"), "is a replica"),
            (("CONFIG", "SET", "maxmemory", "1"), "out of memory"),
            (("CONFIG", "SET", "min-replicas-to-write", "1"), "too few replicas"),
        ],
    )
    def test_a_server_that_takes_no_writes(self, own_server, own_admin, command, message):
        store = self.open(own_server, "default", "s3cret%2Fpassword")
        commit(store, put(b"a"))
        before = {key: own_admin.dump(key) for key in own_admin.scan_iter()}
        own_admin.execute_command(*command)
        with pytest.raises(StoreUnavailable, match=message):
            commit(store, put(b"a", b"2"), put(b"b"))
        own_admin.execute_command("REPLICAOF", "NO", "ONE")
        own_admin.execute_command("CONFIG", "SET", "maxmemory", "0", "min-replicas-to-write", "0")
        assert {key: own_admin.dump(key) for key in own_admin.scan_iter()} == before
        assert commit(store, put(b"a", b"2")) == 2

    @pytest.mark.parametrize("forbidden", ["-zadd", "-hset", "-xadd", "-unlink", "-setrange", "-evalsha -eval"])
    def test_a_user_who_may_not_write_everything_writes_nothing(self, own_server, own_admin, forbidden):
        own_admin.execute_command("ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "+@all", *forbidden.split())
        store = self.open(own_server, "app", "pw")
        with pytest.raises(StoreUnavailable, match="does not let this user"):
            commit(store, put(b"a"))
        assert own_admin.dbsize() == 0

    @pytest.mark.parametrize("forbidden", ["-hincrby", "-hdel", "-xadd", "-pexpire", "-xread"])
    def test_a_user_who_may_not_do_all_that_locks_need_takes_none(self, own_server, own_admin, forbidden):
        own_admin.execute_command("ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "+@all", forbidden)
        store = self.open(own_server, "app", "pw")
        with pytest.raises(StoreUnavailable, match="does not let this user"):
            LockManager(store).lock("x").acquire()
        assert own_admin.dbsize() == 0

    def test_a_user_of_other_keys(self, own_server, own_admin):
        own_admin.execute_command("ACL", "SETUSER", "app", "reset", "on", ">pw", "~{rome:app}:*", "+@all")
        store = self.open(own_server, "app", "pw")
        assert commit(store, put(b"a")) == 1
        with pytest.raises(StoreUnavailable, match=f"does not let this user.*{own_server.port}"):
            self.open(own_server, "app", "pw", database="other").fetch([Get(ROWS, (b"a",))])

    def test_more_than_a_command_can_have(self, store, monkeypatch):
        monkeypatch.setattr(connections, "_MOST_ARGUMENTS", 100)
        assert commit(store, *(put(b"%d" % number) for number in range(100))) == 1
        with pytest.raises(OperationalError, match="too much at once"):
            store.fetch([Get(ROWS, tuple(b"%d" % number for number in range(100)))])

    def test_more_bytes_than_a_server_takes(self, store, monkeypatch):
        monkeypatch.setattr(connections, "LONGEST_ARGUMENT", 100_000)
        monkeypatch.setattr(connections, "_LONGEST_COMMAND", 300_000)
        commit(store, put(b"script"))
        with pytest.raises(DataError, match=r"a row of 10000[0-9] bytes is too long"):
            commit(store, put(b"a", b"x" * 100_001))
        with pytest.raises(OperationalError, match="divide the transaction"):
            store.fetch([Get(ROWS, tuple(b"%d" % number + b"x" * 90_000 for number in range(4)))])
        assert commit(store, put(b"a", b"x" * 90_000)) == 2

    def test_keys_that_are_somebody_elses(self, store, admin):
        admin.set(store._layout.values + ROWS, "not ours")
        with pytest.raises(InternalError, match="WRONGTYPE"):
            ask(store, Get(ROWS, (b"a",)))
        with pytest.raises(InternalError, match="WRONGTYPE"):
            commit(store, put(b"a", space=CATALOG), put(b"a"))
        assert store.fetch([Range(CATALOG)])[:3] == (0, 0, [[]])
        admin.delete(store._layout.values + ROWS)

    def open(self, server, user, password, database="app"):
        return open_store(parse_url(f"rome+redis://{user}:{password}@{server.host}:{server.port}/{database}"))


class TestFormat:
    def test_comes_with_the_first_commit(self, store, admin):
        commit(store, put(b"a"))
        assert admin.hget(store._layout.meta, "format") == b"%d" % FORMAT

    @pytest.mark.parametrize(
        ("field", "data"),
        [("format", b""), ("format", b"\xff"), ("state", b""), ("state", b"\xff" * 55), ("state", None)],
    )
    def test_a_state_that_does_not_decode(self, store, url, admin, field, data):
        commit(store, put(b"a"))
        admin.hset(store._layout.meta, field, data) if data is not None else admin.hdel(store._layout.meta, field)
        other = open_store(parse_url(url))
        with pytest.raises(FormatError, match="meta"):
            other.fetch([Get(ROWS, (b"a",))])
        with pytest.raises(FormatError, match="meta"):
            commit(other, put(b"a"))
        other.close()
        admin.delete(*keys_of(admin, store))

    def test_a_log_that_is_ahead_of_the_state(self, store, url, admin):
        """As if the state were restored from an older copy. Nothing is written."""
        commit(store, put(b"a"))
        state = admin.hget(store._layout.meta, "state")
        commit(store, put(b"a", b"2"))
        admin.hset(store._layout.meta, "state", state)
        before = {key: admin.dump(key) for key in keys_of(admin, store)}
        other = open_store(parse_url(url))
        with pytest.raises(FormatError, match=r"r1 on .* a version that the database has not reached.*restore"):
            commit(other, put(b"a", b"3"))
        changed = {key for key in keys_of(admin, store) if before.get(key) != admin.dump(key)}
        assert not any(b":v:" in key or b":s:" in key for key in changed)
        other.close()

    def test_a_counter_that_does_not_decode(self, store, admin):
        admin.hset(store._layout.counters, "ids", "many")
        with pytest.raises(FormatError, match="counters"):
            store.allocate(b"ids", 1)

    @pytest.mark.parametrize(
        ("number", "message"),
        [
            (FORMAT + 6, rf"has format {FORMAT + 6}, .* formats up to {FORMAT}"),
            (2, "rome upgrade URL"),
            (1, "before its first release"),
        ],
    )
    def test_another_one_is_refused_and_nothing_is_written(self, store, admin, number, message):
        commit(store, put(b"a"))
        admin.hset(store._layout.meta, "format", number)
        before = {key: admin.dump(key) for key in keys_of(admin, store)}
        for work in (
            lambda: store.fetch([Get(ROWS, (b"a",))]),
            lambda: commit(store, put(b"a", b"2")),
            lambda: store.allocate(b"ids", 1),
            lambda: store.advance(b"ids", 1),
            lambda: list(store.changes(0)),
            store.version,
            store.clear,
        ):
            with pytest.raises(FormatError, match=message):
                work()
        assert {key: admin.dump(key) for key in keys_of(admin, store)} == before
        admin.hset(store._layout.meta, "format", FORMAT)
        assert store.version() == 1

    def test_an_older_one_without_a_state_is_refused(self, store, admin):
        admin.hset(store._layout.meta, mapping={"version": "3", "format": "1"})
        for work in (store.version, lambda: commit(store, put(b"a"))):
            with pytest.raises(FormatError, match="before its first release"):
                work()
        assert keys_of(admin, store) == {store._layout.meta}
        admin.delete(store._layout.meta)

    def test_a_log_that_does_not_decode(self, store, admin):
        commit(store, put(b"a"))
        admin.delete(store._layout.keys_log + ROWS)
        admin.xadd(store._layout.keys_log + ROWS, {"k": "\x93abc", "p": "1", "o": "", "v": ""}, id="1-0")
        for work in (lambda: store.fetch([Get(ROWS, (b"a",))], 0), lambda: list(store.changes(0))):
            with pytest.raises(FormatError, match=r"1-0 of the log in key .*k:r1 does not decode"):
                work()
        admin.lset(store._layout.heads, 0, "nonsense")
        with pytest.raises(FormatError, match=r"1 of the log in key .*heads does not decode"):
            list(store.changes(0))


class TestKeys:
    def test_clear_leaves_nothing(self, store, admin):
        commit(store, put(b"a"), put_entry(1, b"a"), advances={b"ids": 3})
        commit(store, delete(b"a"), drops=[INDEX])
        assert keys_of(admin, store)
        store.clear()
        assert keys_of(admin, store) == set()

    def test_a_dropped_space_is_freed_when_no_snapshot_reaches_it(self, url, admin):
        store = open_store(parse_url(with_option(url, "log_commits=3")))
        commit(store, put(b"a", space=b"r9"))
        commit(store, drops=[b"r9"])
        assert ask(store, Range(b"r9"), at=1) == [(b"a", b"value")]
        for _ in range(3):
            commit(store, put(b"a"))
        assert store._layout.values + b"r9" not in keys_of(admin, store)
        fields = admin.hgetall(store._layout.meta)
        assert {name: at for name, at in fields.items() if name.startswith(b"s:")} == {
            b"s:r1": (5).to_bytes(8, "big") + b"\1"
        }
        with pytest.raises(SnapshotTooOld):
            store.fetch([], 1)
        store.clear()

    def test_the_log_stays_within_its_bytes(self, url, admin):
        store = open_store(parse_url(with_option(url, "log_bytes=20000")))
        for number in range(300):
            commit(store, put(b"a", b"%01000d" % number))
        assert int.from_bytes(admin.hget(store._layout.meta, "state")[16:24], "big") <= 20_000
        assert admin.xlen(store._layout.values_log + ROWS) < 40
        assert len([name for name in admin.hkeys(store._layout.meta) if name.startswith(b"+")]) < 20
        assert store.fetch([Get(ROWS, (b"a",))], 295).answers == [[b"%01000d" % 294]]
        store.clear()

    def test_many_commits_leave_the_log_at_once(self, url, admin):
        store = open_store(parse_url(with_option(url, "log_commits=300")))
        tokens = []
        for _ in range(700):
            tokens.append(uuid.uuid4().bytes)
            commit(store, put(b"a"), token=tokens[-1])
            state = admin.hget(store._layout.meta, "state")
            kept = len(tokens) - int.from_bytes(state[8:16], "big")
            assert kept <= 303
            assert kept >= min(300, len(tokens))
        known = {name[1:] for name in admin.hkeys(store._layout.meta) if name.startswith(b"+")}
        assert known == set(tokens[-kept:])
        assert [commit(store, put(b"a"), token=token) for token in tokens[-kept:]] == list(range(701 - kept, 701))
        store.clear()

    def test_more_spaces_than_a_script_can_unpack(self, store):
        """That is 8,000. Each commit is small enough for one script: 16,000 writes and checks."""

        def is_unchanged(key):
            return [Check(space, key, key + b"\0", 0) for space in spaces]

        spaces = [b"r%d" % number for number in range(9000)]
        assert commit(store, *(put(b"a", space=space) for space in spaces)) == 1
        assert commit(store, *(put(b"b", space=space) for space in spaces), checks=is_unchanged(b"b")[:7000]) == 2
        assert commit(store, *(put(b"c", space=space) for space in spaces[:7000]), checks=is_unchanged(b"c")) == 3
        with pytest.raises(Conflict, match="key b of space r8999"):
            commit(store, put(b"c"), checks=is_unchanged(b"b")[-1:])

    def test_some_of_the_keys_must_be_new(self, store):
        def free(key, space=ROWS):
            return Check(space, key, key + b"\0", 0, Demand.NO_KEYS)

        commit(store, put(b"b"), put(b"e", space=INDEX))
        writes = [put(b"a", b"1"), put(b"b", b"2"), put(b"c", b"3"), put(b"e", space=INDEX), put(b"f", space=INDEX)]
        assert commit(store, *writes, checks=[free(b"c"), free(b"a"), free(b"f", INDEX), free(b"z")]) == 2
        assert ask(store, Range(ROWS)) == [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]
        assert store.fetch([Range(ROWS), Range(INDEX)], 1).answers == [[(b"b", b"value")], [(b"e", b"")]]
        for check in (free(b"b"), free(b"e", INDEX)):
            with pytest.raises(Conflict, match=r"key [be] of space [ri]\d, which was to be new"):
                commit(store, *writes, checks=[check])
        assert store.version() == 2
        with pytest.raises(Conflict, match="key b of space r1"):
            commit(store, delete(b"b"), checks=[free(b"b")])

    def test_names_that_look_like_parts_of_keys(self, redis_server):
        names = ["a", "a}:s:r1", "a%7D", "ä/ö", "a b", "{a}"]
        stores = [open_store(parse_url(redis_server.url(name))) for name in names]
        for number, store in enumerate(stores):
            commit(store, put(b"a", b"%d" % number))
        assert [ask(store, Get(ROWS, (b"a",))) for store in stores] == [[b"%d" % n] for n in range(len(names))]
        for store in stores:
            store.clear()

    def test_a_copy_from_another_server(self, store, own_server):
        commit(store, put(b"t", space=CATALOG))
        commit(store, *(put(b"%05d" % n) for n in range(3000)), put_entry(1, b"00001"), advances={b"ids": 7})
        commit(store, drops=[CATALOG])
        there = open_store(parse_url(f"rome+redis://:s3cret%2Fpassword@{own_server.host}:{own_server.port}/copy"))
        there.copy_from(store)
        requests = [Range(ROWS), Range(INDEX), Count(ROWS, ALL)]
        assert there.fetch(requests)[:3] == store.fetch(requests)[:3]
        assert there.allocate(b"ids", 1) == 8
        assert commit(there, put(b"a")) == 4
        with pytest.raises(InterfaceError, match="not empty"):
            there.copy_from(store)
        assert all(holds_entries(space) or space == ROWS for space in self.written(there))

    def written(self, store):
        (fields,) = store._server.round([(b"HKEYS", store._layout.meta)])
        return [field[2:] for field in fields if field.startswith(b"s:")]


class TestURL:
    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("rome+redis://localhost:6379", "names no database; write rome\\+redis://"),
            ("rome+redis://localhost:6379/a?database=b", "two databases"),
            ("rome+redis://localhost/app?db=x", "'db'"),
            ("rome+redis://localhost/app?db=-1", "'db'"),
            ("rome+redis://localhost/app?log_commits=0", "'log_commits'"),
            ("rome+redis://localhost/app?socket_timeout=soon", "'socket_timeout'"),
            ("rome+redis://localhost/app?connect_timeout=-1", "'connect_timeout'"),
            ("rome+redis://localhost/app?ssl_keyfile=k", "'ssl_keyfile'.*rediss"),
            ("rome+redis://localhost/app?sentinel_service=m&sentinels=other", "'sentinels'"),
            ("rome+redis://localhost/app?tcp_nodelay=1", "'tcp_nodelay'"),
            ("rome+unix://?database=app", "no socket path"),
            ("rome+unix:///tmp/s", "names no database; write rome\\+unix:///"),
        ],
    )
    def test_what_is_wrong_is_named(self, url, message):
        with pytest.raises(InterfaceError, match=message):
            open_store(parse_url(url))
