"""Tests of commits: which writes are applied, which checks fail, tokens, and counters."""

from __future__ import annotations

import pytest

from rome.errors import Conflict, HistoryLost, NumbersTaken
from rome.storage.store import CATALOG, LAST, Check, Demand, Get, Range, Store
from rome.testing.store_suite.harness import INDEX, ROWS, Harness, OpenDatabase, ask, commit, delete, put, put_entry


class Committing(Harness):
    """Tests of `Store.commit`, `allocate` and `advance`."""

    def test_every_commit_has_the_next_number(self, store: Store) -> None:
        """A batch with a write makes a version, even if the write changes nothing."""
        assert [commit(store, put(b"a")), commit(store, put(b"b")), commit(store, delete(b"c"))] == [1, 2, 3]
        assert store.version() == 3

    def test_put_and_delete(self, store: Store) -> None:
        """If a batch writes a key more than once, the last write counts."""
        commit(store, put(b"a", b"1"), put(b"b", b"1"), put(b"c", b"1"))
        commit(store, put(b"a", b"2"), delete(b"b"), put(b"c", b"2"), put(b"c", b"3"))
        assert ask(store, Range(ROWS)) == [(b"a", b"2"), (b"c", b"3")]

    @pytest.mark.parametrize("step", [1, 2, 5])
    def test_many_keys_among_others(self, store: Store, step: int) -> None:
        """The log has the old value of each, whether all keys of their range are written or few."""
        keys = [b"%03d" % number for number in range(60)]
        at = commit(store, *[put(key, b"old " + key) for key in keys])
        written = keys[10:50:step]
        commit(store, *[put(key, b"new") for key in written[1:]], delete(written[0]), put(b"020x", b"new"))
        pairs = {**{key: b"old " + key for key in keys}, **dict.fromkeys([*written[1:], b"020x"], b"new")}
        del pairs[written[0]]
        assert ask(store, Range(ROWS)) == sorted(pairs.items())
        assert ask(store, Range(ROWS), at) == [(key, b"old " + key) for key in keys]
        (committed,) = store.changes(at)
        assert {change.key: change.old for change in committed.changes} == {
            **{key: b"old " + key for key in written},
            b"020x": None,
        }

    def test_an_entry_is_put_and_deleted(self, store: Store) -> None:
        """Entries have no value."""
        write = put_entry("x", b"a")
        commit(store, write)
        commit(store, write)
        assert ask(store, Range(INDEX)) == [(write.key, b"")]
        commit(store, delete(write.key, INDEX))
        assert ask(store, Range(INDEX)) == []

    @pytest.mark.parametrize(("begin", "end"), [(b"b", b"b\0"), (b"", LAST), (b"a", b"c"), (b"b", LAST)])
    @pytest.mark.parametrize("value", [b"changed", None])
    def test_a_key_written_since_is_a_conflict(
        self, store: Store, begin: bytes, end: bytes, value: bytes | None
    ) -> None:
        """A put or a delete of a key in the range of a check fails it."""
        since = commit(store, put(b"a"), put(b"b"))
        commit(store, put(b"b")._replace(value=value))
        with pytest.raises(Conflict, match=f"wrote key b of space r1 after version {since},"):
            commit(store, put(b"z"), checks=[Check(ROWS, begin, end, since)])

    def test_a_new_key_in_an_empty_range_is_a_conflict(self, store: Store) -> None:
        """A check also covers keys that did not exist: no phantoms."""
        since = commit(store, put(b"a"))
        commit(store, put(b"m"))
        with pytest.raises(Conflict):
            commit(store, put(b"z"), checks=[Check(ROWS, b"l", b"n", since)])

    def test_what_is_no_conflict(self, store: Store) -> None:
        """Writes of other keys or spaces, writes up to `since`, and empty ranges do not fail a check."""
        since = commit(store, put(b"a"), put_entry(1, b"a"))
        commit(store, put(b"m"))
        checks = [
            Check(ROWS, b"a", b"m", since),
            Check(ROWS, b"m\0", LAST, since),
            Check(INDEX, b"", LAST, since),
            Check(ROWS, b"m", b"m", since),
            Check(ROWS, b"", LAST, since + 1),
        ]
        assert commit(store, put(b"z"), checks=checks) == since + 2

    def test_own_writes_are_no_conflict(self, store: Store) -> None:
        """Checks are validated before the batch's own writes are applied."""
        assert commit(store, put(b"a"), checks=[Check(ROWS, b"", LAST, 0)]) == 1

    def test_checks_of_the_catalog(self, store: Store) -> None:
        """The last version that wrote to the catalog settles most of its checks; the others are of its keys."""

        def checked(key: bytes, since: int, demand: Demand = Demand.UNWRITTEN) -> int:
            return commit(store, put(b"z"), checks=[Check(CATALOG, key, key + b"\0", since, demand)])

        before = commit(store, put(b"a"), put(b"t", space=CATALOG))
        changed = commit(store, put(b"t", b"changed", space=CATALOG))
        commit(store, put(b"a"))
        for demand in (Demand.UNWRITTEN, Demand.SAME_KEYS):
            checked(b"t", changed, demand)
        checked(b"t", before, Demand.SAME_KEYS)
        checked(b"u", before)
        checked(b"t", changed, Demand.A_KEY)
        for key, since, demand in (
            (b"t", before, Demand.UNWRITTEN),
            (b"t", changed, Demand.NO_KEYS),
            (b"u", changed, Demand.A_KEY),
        ):
            with pytest.raises(Conflict):
                checked(key, since, demand)
        with pytest.raises(HistoryLost):
            checked(b"t", store.version() + 1)

    def test_a_conflict_applies_nothing(self, store: Store) -> None:
        """If a check fails, no row, entry, counter or version changes."""
        since = commit(store, put(b"a", b"old"))
        commit(store, put(b"b"))
        before = store.fetch([Range(ROWS), Range(INDEX)])
        with pytest.raises(Conflict):
            commit(
                store,
                put(b"a", b"new"),
                put_entry(1, b"a"),
                delete(b"b"),
                checks=[Check(ROWS, b"a", b"a\0", since), Check(ROWS, b"b", b"b\0", since)],
                advances={b"ids": 100},
                token=b"refused",
            )
        assert store.fetch([Range(ROWS), Range(INDEX)]) == before
        assert store.allocate(b"ids", 1) == 1
        assert commit(store, put(b"a", b"new"), token=b"refused") == 3

    def test_a_commit_without_writes_validates_its_checks(self, store: Store) -> None:
        """It returns the newest version and makes none."""
        since = commit(store, put(b"a"))
        assert commit(store, checks=[Check(ROWS, b"", LAST, since)]) == since
        commit(store, put(b"a"))
        with pytest.raises(Conflict):
            commit(store, checks=[Check(ROWS, b"", LAST, since)])
        assert store.version() == since + 1

    def test_a_check_that_the_same_keys_are_there(self, store: Store) -> None:
        """SAME_KEYS ignores new values, and fails if a key was added or removed."""
        since = commit(store, put(b"a"), put(b"c"))
        commit(store, put(b"a", b"new"))
        for begin, end in ((b"a", b"a\0"), (b"b", b"b\0"), (b"", LAST)):
            assert commit(store, checks=[Check(ROWS, begin, end, since, Demand.SAME_KEYS)]) == since + 1
        commit(store, put(b"b"), delete(b"c"))
        for begin, end in ((b"b", b"b\0"), (b"c", b"c\0"), (b"b", LAST)):
            with pytest.raises(Conflict):
                commit(store, checks=[Check(ROWS, begin, end, since, Demand.SAME_KEYS)])
        assert commit(store, checks=[Check(ROWS, b"a", b"a\0", since, Demand.SAME_KEYS)]) == since + 2
        commit(store, delete(b"b"), put(b"c"))
        assert commit(store, checks=[Check(ROWS, b"", LAST, since, Demand.SAME_KEYS)]) == since + 3

    def test_a_check_that_no_key_is_there(self, store: Store) -> None:
        """NO_KEYS fails if the range has a key, no matter when it was written."""
        version = commit(store, put(b"b"), put(b"e", space=INDEX))
        free = [Check(ROWS, b"a", b"a\0", 0, Demand.NO_KEYS), Check(ROWS, b"c", LAST, 0, Demand.NO_KEYS)]
        assert commit(store, checks=free) == version
        for space, begin, end in ((ROWS, b"b", b"b\0"), (ROWS, b"", LAST), (INDEX, b"e", b"e\0"), (INDEX, b"a", b"f")):
            with pytest.raises(Conflict, match="which was to be new"):
                commit(store, checks=[Check(space, begin, end, version, Demand.NO_KEYS)])

    def test_a_check_that_a_key_is_there(self, store: Store) -> None:
        """A_KEY fails if the range has no key, no matter when it was removed."""
        version = commit(store, put(b"b"), put(b"e", space=INDEX), put(b"f", space=INDEX), put(b"d"))
        there = [(ROWS, b"b", b"b\0"), (ROWS, b"a", LAST), (INDEX, b"e", b"e\0"), (INDEX, b"a", b"f")]
        assert commit(store, checks=[Check(*each, 0, Demand.A_KEY) for each in there]) == version
        gone = [(ROWS, b"a", b"a\0"), (ROWS, b"e", LAST), (INDEX, b"b", b"b\0"), (b"r77", b"", LAST)]
        for each in gone:
            with pytest.raises(Conflict, match="does not exist"):
                commit(store, put(b"z"), checks=[Check(*there[0], 0, Demand.A_KEY), Check(*each, 0, Demand.A_KEY)])
        commit(store, delete(b"b"))
        with pytest.raises(Conflict, match="does not exist"):
            commit(store, checks=[Check(*there[0], version, Demand.A_KEY)])
        assert commit(store, put(b"b"), checks=[Check(ROWS, b"d", b"d\0", 0, Demand.A_KEY)]) == version + 2

    def test_many_new_keys(self, store: Store) -> None:
        """Of many rows that must be new, one that exists is a conflict; before and after it there may be others."""
        keys = [b"k%02d" % number for number in range(10, 40)]
        since = commit(store, put(b"a"), put(b"k25"), put(b"z"))
        checks = [Check(ROWS, key, key + b"\0", since, Demand.NO_KEYS) for key in keys]
        with pytest.raises(Conflict, match="wrote key k25 of space r1, which was to be new"):
            commit(store, *map(put, keys), checks=checks)
        keys.remove(b"k25")
        checks = [check for check in checks if check.begin != b"k25"]
        assert commit(store, *map(put, keys), checks=checks) == since + 1
        (later,) = store.changes(since)
        assert {(change.key, change.old) for change in later.changes} == {(key, None) for key in keys}

    def test_many_checks(self, store: Store) -> None:
        """One of thousands of checks in a commit fails."""
        since = commit(store, put(b"k1234"))
        commit(store, put(b"k1234"))
        checks = [Check(ROWS, b"k%d" % number, b"k%d\0" % number, since) for number in range(5000)]
        with pytest.raises(Conflict):
            commit(store, put(b"z"), checks=checks)
        del checks[1234]
        assert commit(store, put(b"z"), checks=checks) == since + 2

    def test_a_token_is_applied_once(self, store: Store) -> None:
        """A repeated commit returns its first version, also after other commits."""
        first = commit(store, put(b"a", b"first"), token=b"token")
        assert commit(store, put(b"a", b"first"), token=b"token") == first
        commit(store, put(b"a", b"second"))
        assert commit(store, put(b"a", b"first"), token=b"token") == first
        assert ask(store, Get(ROWS, (b"a",))) == [b"second"]
        assert store.version() == first + 1

    def test_a_token_is_looked_up_before_the_checks(self, store: Store) -> None:
        """A repeated commit must not fail because of its own writes."""
        check = Check(ROWS, b"", LAST, 0)
        assert commit(store, put(b"a"), checks=[check], token=b"\0token\xff") == 1
        assert commit(store, put(b"a"), checks=[check], token=b"\0token\xff") == 1

    def test_a_token_is_known_to_all_stores(self, store: Store, open_database: OpenDatabase, database_url: str) -> None:
        """A commit may be repeated over another connection."""
        commit(store, put(b"a"), token=b"token")
        assert commit(open_database(database_url), put(b"a", b"again"), token=b"token") == 1
        assert ask(store, Get(ROWS, (b"a",))) == [b"value"]

    def test_numbers_of_a_counter(self, store: Store) -> None:
        """Numbers begin at 1, are allocated in blocks, and each counter is independent."""
        assert store.peek(b"ids") == 1
        assert [store.allocate(b"ids", 1), store.allocate(b"ids", 10), store.allocate(b"ids", 1)] == [1, 2, 12]
        assert [store.peek(b"ids"), store.peek(b"ids")] == [13, 13]
        assert store.allocate(b"other\0\xff", 1) == 1
        assert store.version() == 0

    def test_numbers_are_drawn_along_with_a_fetch(self, store: Store) -> None:
        """The answers are those of a fetch without draws, at any version, and it is one round."""
        version = commit(store, put(b"a", b"one"))
        commit(store, put(b"a", b"two"))
        for at, value in ((None, b"two"), (version, b"one")):
            before = store.stats.snapshot()[0]
            fetched = store.fetch([Get(ROWS, (b"a",))], at, [(b"ids", 3), (b"other", 1)])
            assert store.stats.snapshot()[0] <= before + 1
            assert fetched.answers == [[value]]
            assert list(fetched.drawn) == ([1, 1] if at is None else [4, 2])
        assert list(store.fetch([], None, [(b"ids", 1)]).drawn) == [7]
        assert store.allocate(b"ids", 1) == 8
        assert list(store.fetch([]).drawn) == []

    def test_a_counter_is_advanced(self, store: Store) -> None:
        """A counter is never set back."""
        store.advance(b"ids", 41)
        assert store.allocate(b"ids", 2) == 42
        store.advance(b"ids", 7)
        assert store.allocate(b"ids", 1) == 44

    def test_a_commit_advances_counters(self, store: Store) -> None:
        """A counter is never set back, and a commit without writes advances it too."""
        commit(store, put(b"a"), advances={b"ids": 10, b"other": 20})
        assert (store.allocate(b"ids", 1), store.allocate(b"other", 1)) == (11, 21)
        commit(store, advances={b"ids": 5, b"other": 2**53 + 1})
        assert (store.allocate(b"ids", 1), store.allocate(b"other", 1)) == (12, 2**53 + 2)

    def test_a_commit_takes_numbers_that_were_not_given(self, store: Store) -> None:
        """It is refused, with nothing done, if a counter has given another number than the commit expects."""
        store.allocate(b"ids", 3)
        commit(store, put(b"a"), advances={b"ids": 5, b"new": 2}, expects={b"ids": 3, b"new": 0})
        assert (store.peek(b"ids"), store.peek(b"new")) == (6, 3)
        version = store.version()
        for expects in ({b"ids": 3}, {b"ids": 6}, {b"ids": 5, b"new": 1}):
            with pytest.raises(NumbersTaken) as raised:
                commit(store, put(b"b"), advances={b"ids": 9, b"new": 9}, expects=expects)
            assert raised.value.counter == [*expects][-1]
        assert (store.version(), store.peek(b"ids"), store.peek(b"new")) == (version, 6, 3)
        for _ in range(2):
            commit(store, put(b"b"), advances={b"ids": 6}, expects={b"ids": 5}, token=b"token")
        assert store.allocate(b"ids", 1) == 7

    def test_a_commit_is_one_round(self, store: Store) -> None:
        """Checks, writes and counters are sent in one round trip."""
        commit(store, put(b"a"))
        before = store.stats.snapshot()[0]
        commit(store, put(b"a"), put_entry(1, b"a"), checks=[Check(ROWS, b"", LAST, 1)], advances={b"ids": 3})
        assert store.stats.snapshot()[0] == before + 1
