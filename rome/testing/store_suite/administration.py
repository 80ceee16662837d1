"""Tests of clearing, copying, closing and reopening a database."""

from __future__ import annotations

from rome.storage.store import CATALOG, Count, Get, Range, Request, Store
from rome.testing.store_suite.harness import INDEX, ROWS, Harness, OpenDatabase, ask, commit, delete, put, put_entry

EVERYTHING = ((b"", b"\xff"),)


class Administration(Harness):
    """Tests of `clear`, `copy_from` and `close`."""

    def test_clear(self, store: Store) -> None:
        """The database is like a new one."""
        commit(store, put(b"a"), put_entry(1, b"a"), put(b"t", space=CATALOG), advances={b"ids": 7}, token=b"token")
        store.clear()
        assert store.fetch([Range(ROWS), Count(INDEX, EVERYTHING), Range(CATALOG)])[:3] == (0, 0, [[], 0, []])
        assert list(store.changes(0)) == []
        assert store.allocate(b"ids", 1) == 1
        assert commit(store, put(b"a"), token=b"token") == 1
        assert ask(store, Get(ROWS, (b"a",))) == [b"value"]

    def test_clear_leaves_other_databases_alone(self, store: Store, open_database: OpenDatabase) -> None:
        """Also those whose name has the same prefix."""
        other = open_database()
        commit(other, put(b"a"), advances={b"ids": 7})
        commit(store, put(b"a"))
        store.clear()
        assert ask(other, Get(ROWS, (b"a",))) == [b"value"]
        assert other.allocate(b"ids", 1) == 8

    def test_clear_a_new_database(self, store: Store) -> None:
        """It does nothing."""
        store.clear()
        assert store.version() == 0

    def test_copy(self, store: Store, open_database: OpenDatabase) -> None:
        """The copy has the rows, entries, counters and catalog version of the source."""
        commit(store, put(b"t", space=CATALOG))
        commit(store, *(put(b"%05d" % number) for number in range(3000)), advances={b"ids": 7})
        commit(store, put_entry(1, b"00001"), put_entry(2, b"\0\xff"), delete(b"00002"))
        copy = open_database()
        copy.copy_from(store)
        requests: list[Request] = [Range(ROWS), Range(INDEX), Range(CATALOG), Count(ROWS, EVERYTHING)]
        assert copy.fetch(requests)[:3] == store.fetch(requests)[:3]
        assert copy.allocate(b"ids", 1) == 8

    def test_a_copy_is_independent(self, store: Store, open_database: OpenDatabase) -> None:
        """Writes to one are not seen in the other, and the copy has a log of its own."""
        commit(store, put(b"a", b"1"))
        copy = open_database()
        copy.copy_from(store)
        at = copy.version()
        commit(store, put(b"a", b"2"), advances={b"ids": 7})
        commit(copy, put(b"a", b"3"), put(b"b"))
        assert ask(store, Range(ROWS)) == [(b"a", b"2")]
        assert ask(copy, Range(ROWS)) == [(b"a", b"3"), (b"b", b"value")]
        assert ask(copy, Range(ROWS), at) == [(b"a", b"1")]
        assert copy.allocate(b"ids", 1) == 1

    def test_an_incarnation(self, store: Store, open_database: OpenDatabase) -> None:
        """A database keeps it until it is cleared, and a copy gets another one."""
        assert store.fetch([]).incarnation == b""
        commit(store, put(b"a"))
        first = store.fetch([]).incarnation
        commit(store, put(b"a"))
        assert store.fetch([], 1).incarnation == store.fetch([]).incarnation == first != b""
        copy = open_database()
        copy.copy_from(store)
        assert copy.fetch([]).incarnation not in (b"", first)
        store.clear()
        assert store.fetch([]).incarnation != first
        commit(store, put(b"a"))
        assert store.fetch([]).incarnation not in (b"", first)

    def test_a_copy_of_a_new_database(self, store: Store, open_database: OpenDatabase) -> None:
        """The copy is like a new database."""
        copy = open_database()
        copy.copy_from(store)
        assert copy.fetch([Range(ROWS)])[:3] == (0, 0, [[]])

    def test_what_is_committed_stays(self, store: Store, open_database: OpenDatabase, database_url: str) -> None:
        """It is found after the store is closed and opened again."""
        commit(store, put(b"a"), advances={b"ids": 7})
        store.close()
        again = open_database(database_url)
        assert again.fetch([Range(ROWS)])[:3] == (1, 0, [[(b"a", b"value")]])
        assert again.allocate(b"ids", 1) == 8

    def test_two_stores_of_one_database(self, store: Store, open_database: OpenDatabase, database_url: str) -> None:
        """Each sees the other's commits at once."""
        other = open_database(database_url)
        commit(store, put(b"a", b"1"))
        assert ask(other, Get(ROWS, (b"a",))) == [b"1"]
        commit(other, put(b"a", b"2"))
        assert store.fetch([Get(ROWS, (b"a",))])[:3] == (2, 0, [[b"2"]])
        assert ask(store, Get(ROWS, (b"a",)), at=1) == [b"1"]
