"""Tests of fetches at the newest version."""

from __future__ import annotations

import pytest

from rome.errors import FormatError
from rome.storage.keys import encode, entry, prefix_end, row_key_of
from rome.storage.store import CATALOG, LAST, Count, Get, Lookup, Range, Request, Scan, Store
from rome.testing.store_suite.harness import (
    INDEX,
    ROWS,
    Harness,
    OpenDatabase,
    ask,
    commit,
    delete,
    key_of,
    observed,
    put,
    put_entry,
)

EVERYTHING = ((b"", LAST),)


class Reading(Harness):
    """Tests of `Store.fetch`: every kind of request."""

    @pytest.fixture
    def filled(self, store: Store) -> Store:
        """Return a store of rows a … e with an index: 1 → a, d; 2 → b; 3 → c, e."""
        columns = {b"a": 1, b"b": 2, b"c": 3, b"d": 1, b"e": 3}
        commit(store, *(put(key, b"row " + key) for key in columns))
        commit(store, *(put_entry(column, key) for key, column in columns.items()))
        return store

    def test_a_new_database_is_empty_and_at_version_0(self, store: Store) -> None:
        """Every request gets an empty answer."""
        requests: list[Request] = [
            Get(ROWS, (b"a",)),
            Range(ROWS),
            Lookup(INDEX, ROWS, EVERYTHING),
            Count(ROWS, EVERYTHING),
            Scan(ROWS),
        ]
        assert observed(requests, store.fetch(requests)) == (0, 0, [[None], [], [], 0, []])
        assert store.version() == 0

    def test_a_fetch_without_requests_answers_the_versions(self, filled: Store) -> None:
        """A transaction learns of other commits by it."""
        assert filled.fetch([])[:3] == (2, 0, [])

    def test_get_answers_in_the_order_of_the_keys(self, filled: Store) -> None:
        """The answer has None for a missing key, and a value for each repetition of a key."""
        answer = ask(filled, Get(ROWS, (b"c", b"missing", b"a", b"c")))
        assert answer == [b"row c", None, b"row a", b"row c"]

    def test_get_of_no_keys(self, filled: Store) -> None:
        """The answer is empty, and does not disturb other requests."""
        assert filled.fetch([Get(ROWS, ()), Get(ROWS, (b"a",))]).answers == [[], [b"row a"]]

    @pytest.mark.parametrize(
        ("begin", "end", "limit", "reverse", "keys"),
        [
            (b"", LAST, None, False, "abcde"),
            (b"b", b"d", None, False, "bc"),
            (b"b", b"b\0", None, False, "b"),
            (b"bb", b"dd", None, False, "cd"),
            (b"", LAST, 2, False, "ab"),
            (b"", LAST, 2, True, "ed"),
            (b"b", b"e", 9, True, "dcb"),
            (b"c", b"c", None, False, ""),
            (b"d", b"b", None, False, ""),
            (b"f", LAST, 1, True, ""),
        ],
    )
    def test_range(self, filled: Store, begin: bytes, end: bytes, limit: int | None, reverse: bool, keys: str) -> None:
        """Begin is inclusive, end is exclusive; a limit takes the first keys in the request's order."""
        answer = ask(filled, Range(ROWS, begin, end, limit, reverse))
        assert answer == [(key.encode(), b"row " + key.encode()) for key in keys]

    def test_a_whole_space(self, filled: Store) -> None:
        """A Scan returns each key with its value, in any order."""
        keys, values = filled.fetch([Scan(ROWS)]).answers[0]
        assert sorted(keys) == [b"a", b"b", b"c", b"d", b"e"]
        assert list(values) == [b"row " + key for key in keys]

    def test_a_range_of_entries_has_no_values(self, filled: Store) -> None:
        """Entries sort by column, then by row key."""
        answer = ask(filled, Range(INDEX, limit=2))
        assert answer == [(entry(encode((1,)), b"a"), b""), (entry(encode((1,)), b"d"), b"")]

    @pytest.mark.parametrize(
        ("columns", "limit", "reverse", "keys"),
        [
            ((1,), None, False, "ad"),
            ((1,), None, True, "da"),
            ((3, 1), None, False, "cead"),
            ((3, 1), None, True, "daec"),
            ((3, 1), 3, False, "cea"),
            ((3, 1), 3, True, "dae"),
            ((7, 2), 1, False, "b"),
            ((7,), None, False, ""),
            ((), None, False, ""),
        ],
    )
    def test_lookup(self, filled: Store, columns: tuple[int, ...], limit: int | None, reverse: bool, keys: str) -> None:
        """Ranges are in the given order, or reversed; a limit counts the entries of all of them."""
        ranges = tuple((encode((column,)), prefix_end(encode((column,)))) for column in columns)
        answer = ask(filled, Lookup(INDEX, ROWS, ranges, limit, reverse))
        assert [value for _, value in answer] == [b"row " + key.encode() for key in keys]
        assert [found[-3:-2] for found, _ in answer] == [key.encode() for key in keys]

    def test_lookup_of_an_entry_without_a_row(self, filled: Store) -> None:
        """An entry without a row is an error that names the row, at each version that has it."""
        version = commit(filled, delete(b"a"))
        for at in (None, version):
            with pytest.raises(FormatError, match="row with key b'a'"):
                ask(filled, Lookup(INDEX, ROWS, EVERYTHING), at=at)
        assert len(ask(filled, Lookup(INDEX, ROWS, EVERYTHING), at=version - 1)) == 5

    def test_count(self, filled: Store) -> None:
        """The answer is the sum over all ranges; an empty range adds nothing."""
        assert ask(filled, Count(ROWS, EVERYTHING)) == 5
        assert ask(filled, Count(ROWS, ((b"a", b"c"), (b"e", LAST), (b"d", b"b")))) == 3
        assert ask(filled, Count(INDEX, EVERYTHING)) == 5
        assert ask(filled, Count(INDEX, ())) == 0

    def test_many_requests_are_one_round(self, filled: Store) -> None:
        """Each request gets its own answer, in order."""
        before = filled.stats.snapshot()[0]
        one = (encode((1,)), prefix_end(encode((1,))))
        fetched = filled.fetch(
            [Get(ROWS, (b"a",)), Range(ROWS, b"d"), Lookup(INDEX, ROWS, (one,)), Count(ROWS, EVERYTHING), Range(b"r7")]
        )
        assert fetched.answers[:2] == [[b"row a"], [(b"d", b"row d"), (b"e", b"row e")]]
        entries, values = fetched.answers[2]
        assert [row_key_of(entry) for entry in entries] == [b"a", b"d"]
        assert list(values) == [b"row a", b"row d"]
        assert fetched.answers[3:] == [5, []]
        assert filled.stats.snapshot()[0] == before + 1

    def test_the_catalog_version_is_that_of_its_last_commit(self, store: Store) -> None:
        """Commits to other spaces do not change it; a snapshot read returns that of its version."""
        commit(store, put(b"a"))
        commit(store, put(b"t", space=CATALOG))
        commit(store, put(b"b"))
        assert store.fetch([])[:2] == (3, 2)
        commit(store, put(b"t", b"other", space=CATALOG))
        assert [store.fetch([], at)[:2] for at in range(5)] == [(0, 0), (1, 0), (2, 2), (3, 2), (4, 4)]

    def test_keys_and_values_may_have_any_bytes(self, store: Store) -> None:
        """Keys sort by their bytes."""
        everything = bytes(range(256))
        firsts = [bytes([first]) for first in range(255)]
        keys = [b"k", *firsts, *(b"k" + bytes([second]) for second in range(256)), b"k" + everything, b"\0\0", b"\r\n"]
        values = {key: key + everything for key in keys}
        commit(store, *(put(key, value) for key, value in values.items()))
        commit(store, *(put_entry(key, key) for key in keys))
        assert ask(store, Range(ROWS)) == sorted(values.items())
        assert ask(store, Scan(ROWS)) == sorted(values.items())
        assert ask(store, Get(ROWS, tuple(keys))) == [values[key] for key in keys]
        looked_up = ask(store, Lookup(INDEX, ROWS, EVERYTHING))
        assert [value for _, value in looked_up] == [values[key] for key in sorted(set(keys))]
        assert ask(store, Count(ROWS, ((b"k\0", b"k\xff"),))) == 256

    def test_a_large_value(self, store: Store) -> None:
        """A value of a megabyte is stored unchanged."""
        value = bytes(range(256)) * 4096
        commit(store, put(b"a", value))
        assert ask(store, Get(ROWS, (b"a",))) == [value]

    def test_ten_thousand_rows_in_one_commit(self, store: Store) -> None:
        """They are written, read and deleted in one request each."""
        keys = [key_of(number) for number in range(10_000)]
        version = commit(store, *(put(key) for key in keys), *(put_entry(0, key) for key in keys))
        assert ask(store, Count(ROWS, EVERYTHING)) == 10_000
        assert ask(store, Get(ROWS, tuple(keys))) == [b"value"] * 10_000
        assert [key for key, _ in ask(store, Range(ROWS))] == keys
        assert len(ask(store, Lookup(INDEX, ROWS, EVERYTHING))) == 10_000
        commit(store, *(delete(key) for key in keys), *(delete(put_entry(0, key).key, INDEX) for key in keys))
        assert store.fetch([Range(ROWS), Count(INDEX, EVERYTHING)]).answers == [[], 0]
        assert len(ask(store, Lookup(INDEX, ROWS, EVERYTHING), at=version)) == 10_000

    def test_databases_are_separate(self, store: Store, open_database: OpenDatabase) -> None:
        """A key of one database does not exist in another."""
        other = open_database()
        commit(store, put(b"a", b"here"))
        commit(other, put(b"a", b"there"))
        assert (ask(store, Get(ROWS, (b"a",))), ask(other, Get(ROWS, (b"a",)))) == ([b"here"], [b"there"])
