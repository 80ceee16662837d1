"""Tests of commits that empty a space (`EmptiesSpaces`): all its keys are deleted at once."""

from __future__ import annotations

import pytest

from rome.errors import Conflict, SnapshotTooOld
from rome.storage.keys import row_key_of
from rome.storage.store import (
    LAST,
    Change,
    Check,
    Count,
    EmptiesSpaces,
    Get,
    Lookup,
    Range,
    Request,
    Scan,
    Store,
    row_lock_name,
)
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

OTHER = b"r2"
NUMBERS = range(40)
KEYS = tuple(map(key_of, NUMBERS))
EVERYTHING = ((b"", LAST),)
REQUESTS: list[Request] = [
    Scan(ROWS),
    Range(ROWS, limit=3),
    Range(ROWS, limit=3, reverse=True),
    Get(ROWS, KEYS[::7]),
    Count(ROWS, EVERYTHING),
    Range(INDEX, limit=4),
    Lookup(INDEX, ROWS, EVERYTHING, 5),
    Count(INDEX, EVERYTHING),
]


def fill(store: Store) -> int:
    """Put rows with index entries; return the version."""
    rows = [put(key, b"row " + key) for key in KEYS]
    return commit(store, *rows, *[put_entry(number % 4, key) for number, key in zip(NUMBERS, KEYS, strict=True)])


def empty(store: Store, since: int) -> int:
    """Empty the rows and the index, as DELETE of a whole table does; return the version."""
    return commit(store, put(b"x", space=OTHER), checks=[Check(ROWS, b"", LAST, since)], empties=[ROWS, INDEX])


class Emptying(Harness):
    """Tests of `Batch.empties`. Stores that are not EmptiesSpaces skip them."""

    @pytest.fixture(autouse=True)
    def empties_spaces(self, store: Store) -> None:
        """Skip stores that delete key by key."""
        if not isinstance(store, EmptiesSpaces):
            pytest.skip("the store deletes key by key")

    def test_nothing_is_left(self, store: Store) -> None:
        """Other spaces stay, and the batch's writes to them are applied."""
        commit(store, put(b"y", space=OTHER))
        empty(store, fill(store))
        empties = [[], [], [], [None] * len(KEYS[::7]), 0, [], [], 0]
        assert observed(REQUESTS, store.fetch(REQUESTS))[2] == empties
        assert ask(store, Range(OTHER)) == [(b"x", b"value"), (b"y", b"value")]

    def test_older_versions_have_all_keys(self, store: Store) -> None:
        """So have those before a former emptying; new keys are not among them."""
        at = fill(store)
        before = observed(REQUESTS, store.fetch(REQUESTS))
        commit(store, put(KEYS[3], b"new"), delete(KEYS[4]), delete(put_entry(0, KEYS[4]).key, INDEX))
        changed = observed(REQUESTS, store.fetch(REQUESTS))
        empty(store, at + 1)
        commit(store, put(KEYS[5], b"again"), put_entry(9, KEYS[5]))
        again = observed(REQUESTS, store.fetch(REQUESTS))
        empty(store, at + 3)
        for version, expected in ((at, before), (at + 1, changed), (at + 3, again)):
            assert observed(REQUESTS, store.fetch(REQUESTS, version)) == expected
        assert ask(store, Count(ROWS, EVERYTHING), at + 2) == 0

    def test_followers_learn_each_key(self, store: Store) -> None:
        """The log has a change for each key of each space."""
        at = fill(store)
        values = {(space, key): value for space in (ROWS, INDEX) for key, value in ask(store, Range(space))}
        empty(store, at)
        (committed,) = store.changes(at)
        changes = {change[:2]: change for change in committed.changes}
        assert len(committed.changes) == len(changes) == len(values) + 1
        assert all(changes[where] == Change(*where, value, None) for where, value in values.items())

    def test_empty_spaces_are_emptied(self, store: Store) -> None:
        """It makes a version, and no change."""
        assert commit(store, empties=[ROWS, INDEX]) == 1
        assert [list(each.changes) for each in store.changes(0)] == [[]]
        assert ask(store, Range(ROWS)) == []

    def test_a_write_meanwhile_is_a_conflict(self, store: Store) -> None:
        """Nothing is deleted then."""
        at = fill(store)
        commit(store, put(b"z"))
        with pytest.raises(Conflict) as caught:
            empty(store, at)
        assert caught.value.space == ROWS
        assert ask(store, Count(ROWS, EVERYTHING)) == len(KEYS) + 1

    @pytest.mark.parametrize("key", [KEYS[2], b"z"])
    def test_writers_see_what_was_deleted(self, store: Store, key: bytes) -> None:
        """A check fails if its range had a key; one of keys that were not there holds."""
        at = fill(store)
        empty(store, at)
        if key in KEYS:
            with pytest.raises(Conflict):
                commit(store, put(key), checks=[Check(ROWS, key, key + b"\0", at)])
            with pytest.raises(Conflict):
                commit(store, put(key), checks=[Check(INDEX, b"", LAST, at)])
        else:
            commit(store, put(key), checks=[Check(ROWS, key, key + b"\0", at)])
            assert ask(store, Range(ROWS)) == [(key, b"value")]

    def test_a_batch_is_applied_once(self, store: Store) -> None:
        """A repeated one does not delete what came after it."""
        at, token = fill(store), b"t" * 16
        checks = [Check(ROWS, b"", LAST, at)]
        assert commit(store, token=token, checks=checks, empties=[ROWS, INDEX]) == at + 1
        commit(store, put(b"z"))
        assert commit(store, token=token, checks=checks, empties=[ROWS, INDEX]) == at + 1
        assert ask(store, Range(ROWS)) == [(b"z", b"value")]

    def test_locked_rows(self, store: Store) -> None:
        """A lock of a row refuses the batch with a Conflict about one of the spaces: single keys must be deleted."""
        at, locks = fill(store), store.lock_table()
        name = row_lock_name(ROWS, KEYS[1])
        locks.acquire([name], b"owner", 60, skip=False)
        with pytest.raises(Conflict) as caught:
            empty(store, at)
        assert caught.value.space in (ROWS, INDEX)
        locks.release([name], b"owner")
        empty(store, at)
        assert ask(store, Scan(ROWS)) == []

    def test_what_was_deleted_leaves_with_the_log(self, open_database: OpenDatabase) -> None:
        """Older versions can't be read then; the space is as any other."""
        store = open_database(options=self.short_log)
        at = fill(store)
        empty(store, at)
        commit(store, put(KEYS[0]), put_entry(1, KEYS[0]))
        for number in range(12):
            commit(store, put(b"%d" % number, space=OTHER))
        with pytest.raises(SnapshotTooOld):
            store.fetch([Scan(ROWS)], at)
        assert ask(store, Range(ROWS)) == [(KEYS[0], b"value")]
        assert [row_key_of(key) for key, _ in ask(store, Range(INDEX))] == [KEYS[0]]
