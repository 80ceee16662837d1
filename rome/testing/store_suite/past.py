"""Tests of the log: snapshot reads at older versions, changes since a version, and trimming."""

from __future__ import annotations

import pytest

from rome.errors import Conflict, SnapshotTooOld
from rome.storage.keys import encode, prefix_end
from rome.storage.store import LAST, Change, Check, Count, Get, Lookup, Range, Request, Scan, Store
from rome.testing.store_suite.harness import (
    INDEX,
    ROWS,
    Harness,
    OpenDatabase,
    ask,
    commit,
    delete,
    observed,
    put,
    put_entry,
)

EVERYTHING = ((b"", LAST),)
DROPPED = b"r99"


class ThePast(Harness):
    """Tests of `fetch` at older versions, `changes`, and the bounds of the log."""

    def test_every_version_can_be_read(self, store: Store) -> None:
        """Inserts, updates and deletes are undone."""
        history: list[dict[bytes, bytes]] = [{}]
        for number in range(12):
            key = b"key %d" % (number % 4)
            rows = dict(history[-1])
            if number % 3 == 2:
                commit(store, delete(key))
                rows.pop(key, None)
            else:
                commit(store, put(key, b"%d" % number))
                rows[key] = b"%d" % number
            history.append(rows)
        keys = tuple(b"key %d" % number for number in range(4))
        for version, rows in enumerate(history):
            requests: list[Request] = [Range(ROWS), Get(ROWS, keys), Count(ROWS, EVERYTHING), Scan(ROWS)]
            pairs = sorted(rows.items())
            expected = version, 0, [pairs, [rows.get(key) for key in keys], len(rows), pairs]
            assert observed(requests, store.fetch(requests, version)) == expected

    def test_a_key_written_twice_in_one_commit(self, store: Store) -> None:
        """A snapshot read returns the value before the first of both writes."""
        commit(store, put(b"a", b"old"))
        commit(store, delete(b"a"), put(b"a", b"new"), put(b"b"), delete(b"b"))
        assert ask(store, Range(ROWS), at=1) == [(b"a", b"old")]
        assert ask(store, Range(ROWS)) == [(b"a", b"new")]

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 9])
    def test_a_limited_range_at_an_older_version(self, store: Store, limit: int, reverse: bool) -> None:
        """The limit counts the rows of the old version, not those inserted or deleted since."""
        old = [(b"%02d" % number, b"old") for number in range(0, 20, 4)]
        at = commit(store, *(put(*row) for row in old))
        commit(store, *(put(b"%02d" % number, b"new") for number in range(20)))
        commit(store, delete(b"00"), delete(b"08"), delete(b"16"), delete(b"03"), delete(b"18"))
        expected = old[::-1][:limit] if reverse else old[:limit]
        assert ask(store, Range(ROWS, limit=limit, reverse=reverse), at) == expected

    @pytest.mark.parametrize("limit", [None, 1, 2, 3, 4])
    @pytest.mark.parametrize("reverse", [False, True])
    def test_a_lookup_at_an_older_version(self, store: Store, limit: int | None, reverse: bool) -> None:
        """Rows whose entries changed since are found by their old entries, with their old values."""
        keys = [b"a", b"b", b"c", b"d"]
        at = commit(store, *(put(key, b"old " + key) for key in keys), *(put_entry(1, key) for key in keys))
        commit(store, delete(b"a"), delete(put_entry(1, b"a").key, INDEX))
        commit(store, put(b"b", b"new b"), delete(put_entry(1, b"b").key, INDEX), put_entry(2, b"b"))
        commit(store, put(b"c", b"new c"), put(b"bb"), put_entry(1, b"bb"))
        one = (encode((1,)), prefix_end(encode((1,))))
        expected = [b"old " + key for key in (keys[::-1] if reverse else keys)][:limit]
        for request in (Lookup(INDEX, ROWS, (one,), limit, reverse), Lookup(INDEX, ROWS, EVERYTHING, limit, reverse)):
            assert [value for _, value in ask(store, request, at)] == expected

    def test_a_restored_entry_leads_to_its_row(self, store: Store) -> None:
        """Also if the row was not written since."""
        at = commit(store, put(b"a", b"row"), put_entry(1, b"a"))
        commit(store, delete(put_entry(1, b"a").key, INDEX))
        assert [value for _, value in ask(store, Lookup(INDEX, ROWS, EVERYTHING), at)] == [b"row"]

    def test_many_requests_at_an_older_version(self, store: Store) -> None:
        """All answers are of that version, whatever the commits since have written."""
        at = commit(store, put(b"a", b"old"), put_entry(1, b"a"), put(b"x", b"old", b"r2"))
        commit(store, put(b"a", b"new"), put(b"b"), put_entry(1, b"b"))
        requests: list[Request] = [
            Range(ROWS, limit=1, reverse=True),
            Get(b"r2", (b"x", b"a")),
            Count(INDEX, EVERYTHING),
            Get(ROWS, (b"b", b"a")),
            Lookup(INDEX, ROWS, EVERYTHING, 1),
        ]
        entry = put_entry(1, b"a").key
        assert observed(requests, store.fetch(requests, at))[2] == [
            [(b"a", b"old")],
            [b"old", None],
            1,
            [None, b"old"],
            [(entry, b"old")],
        ]

    def test_a_snapshot_read_is_one_round(self, store: Store) -> None:
        """Unless commits since have written its keys."""
        at = commit(store, put(b"a"), put_entry(1, b"a"))
        commit(store, put(b"z", space=b"r2"))
        before = store.stats.snapshot()[0]
        store.fetch([Range(ROWS, limit=1), Lookup(INDEX, ROWS, EVERYTHING), Count(ROWS, EVERYTHING), Scan(ROWS)], at)
        assert store.stats.snapshot()[0] == before + 1

    def test_changes_since_a_version(self, store: Store) -> None:
        """`changes` returns each commit's keys with their values before and after it, oldest commit first."""
        entry = put_entry(1, b"a").key
        commit(store, put(b"a", b"1"), put_entry(1, b"a"))
        commit(store, put(b"a", b"2"), delete(b"b"))
        commit(store, delete(b"a"), delete(entry, INDEX))
        expected = [
            (1, {Change(ROWS, b"a", None, b"1"), Change(INDEX, entry, None, b"")}),
            (2, {Change(ROWS, b"a", b"1", b"2"), Change(ROWS, b"b", None, None)}),
            (3, {Change(ROWS, b"a", b"2", None), Change(INDEX, entry, b"", None)}),
        ]
        for since in range(4):
            found = [(version, set(changes)) for version, changes in store.changes(since)]
            assert found == expected[since:]

    def test_changes_of_a_key_that_is_written_twice(self, store: Store) -> None:
        """One commit has one change of a key: from its value before to its last value."""
        commit(store, put(b"a", b"1"))
        commit(store, put(b"a", b"2"), put(b"a", b"3"), put(b"b"), delete(b"b"))
        ((_, changes),) = store.changes(1)
        assert set(changes) == {Change(ROWS, b"a", b"1", b"3"), Change(ROWS, b"b", None, None)}
        assert len(changes) == 2

    def test_a_follower_keeps_a_space_without_asking(self, store: Store) -> None:
        """It applies the new values, of any size, and can go back by the old ones."""
        history: list[dict[bytes, bytes]] = [{}]
        for number in range(30):
            rows = dict(history[-1])
            writes = []
            for each in range(number % 7 + 1):
                key = b"%d" % ((number * 5 + each) % 11)
                if each % 3 == 2:
                    writes.append(delete(key))
                    rows.pop(key, None)
                else:
                    rows[key] = b"%d" % number * (1 if number % 2 else 3000)
                    writes.append(put(key, rows[key]))
            commit(store, *writes)
            history.append(rows)
        followed: dict[bytes, bytes] = {}
        for version, changes in store.changes(0):
            for _, key, old, new in changes:
                assert followed.get(key) == old
                if new is None:
                    followed.pop(key, None)
                else:
                    followed[key] = new
            assert followed == history[version]
        for version, rows in enumerate(history):
            assert ask(store, Scan(ROWS), version) == sorted(rows.items())

    def test_a_reader_that_stays_at_a_version(self, store: Store) -> None:
        """It sees the same, however much is committed between its reads, in its space and in others."""
        at = commit(store, *(put(b"%d" % number, b"old") for number in range(8)), put_entry(1, b"1"))
        entry = put_entry(1, b"1").key
        requests: list[Request] = [
            Get(ROWS, (b"3", b"7")),
            Range(ROWS, limit=3),
            Lookup(INDEX, ROWS, EVERYTHING),
            Scan(ROWS),
        ]
        rows = [(b"%d" % number, b"old") for number in range(8)]
        expected = at, 0, [[b"old", b"old"], rows[:3], [(entry, b"old")], rows]
        for number in range(8):
            value = b"new" if number % 2 else b"n" * 5000
            commit(store, put(b"%d" % number, value), put(b"x", value, b"r2"), delete(b"%d" % (number - 1)))
            commit(store, delete(entry, INDEX), put_entry(number, b"%d" % number))
            assert observed(requests, store.fetch(requests, at)) == expected
            assert observed(requests[:2], store.fetch(requests[:2], at))[2] == expected[2][:2]

    def test_a_snapshot_too_old(self, open_database: OpenDatabase) -> None:
        """Versions before the trimmed log are refused, later ones can be read."""
        store = open_database(options=self.short_log)
        versions = [commit(store, put(b"a", b"%d" % number)) for number in range(200)]
        with pytest.raises(SnapshotTooOld):
            store.fetch([Get(ROWS, (b"a",))], versions[0])
        with pytest.raises(SnapshotTooOld):
            list(store.changes(versions[0]))
        assert ask(store, Get(ROWS, (b"a",)), versions[-2]) == [b"198"]
        assert [version for version, _ in store.changes(versions[-2])] == [versions[-1]]

    def test_a_check_older_than_the_log(self, open_database: OpenDatabase) -> None:
        """It can't be validated: the commit is refused and applies nothing."""
        store = open_database(options=self.short_log)
        first = commit(store, put(b"a"))
        for _ in range(200):
            commit(store, put(b"a"))
        with pytest.raises((Conflict, SnapshotTooOld)):
            commit(store, put(b"b"), checks=[Check(ROWS, b"a", b"a\0", first)])
        assert ask(store, Get(ROWS, (b"b",))) == [None]

    def test_older_snapshots_read_a_dropped_space(self, open_database: OpenDatabase) -> None:
        """The space, and no other, is freed when the log does not reach these versions any more."""
        store = open_database(options=self.short_log)
        at = commit(store, put(b"a", b"row", DROPPED), put(b"a", b"kept"))
        commit(store, put(b"b"), drops=[DROPPED])
        assert store.fetch([Get(DROPPED, (b"a",)), Get(ROWS, (b"b",))], at).answers == [[b"row"], [None]]
        for number in range(200):
            commit(store, put(b"b", b"%d" % number))
        assert store.fetch([Count(DROPPED, EVERYTHING), Get(ROWS, (b"a",))]).answers == [0, [b"kept"]]

    def test_a_drop_alone_is_a_commit(self, open_database: OpenDatabase) -> None:
        """It makes a version, whose list of changes is empty."""
        store = open_database(options=self.short_log)
        commit(store, put(b"a", b"row", DROPPED))
        assert commit(store, drops=[DROPPED]) == 2
        assert list(store.changes(1)) == [(2, ())]
