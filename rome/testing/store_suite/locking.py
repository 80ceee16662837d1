"""Tests of the lock table: mutual exclusion, TTLs, fencing tokens, waiting."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import pytest

from rome.errors import KeysLocked
from rome.storage.commit_locks import CommitLocks
from rome.storage.lock_table import Attempt, LockState, LockTable
from rome.storage.store import Batch, Store, Write, row_lock_name
from rome.testing.store_suite.harness import Harness, OpenDatabase, commit, put

GRANTED, OVERTOOK, HELD = LockState.GRANTED, LockState.OVERTOOK, LockState.HELD
SHORT, LONG = 0.3, 60.0


class Locking(Harness):
    """Tests of `Store.lock_table`, and of the default table, which is made of commits."""

    @pytest.fixture(params=["own", "commits"])
    def table(self, request: pytest.FixtureRequest, store: Store) -> LockTable:
        """Return a lock table of `store`."""
        return store.lock_table() if request.param == "own" else CommitLocks(store)

    def test_a_free_name_is_granted_to_one_owner(self, table: LockTable) -> None:
        """The owner holds it until the release, and may repeat its request."""
        assert _states(table, b"a", b"one") == (GRANTED,)
        assert _states(table, b"a", b"one") == (GRANTED,)
        assert _states(table, b"a", b"two") == (HELD,)
        assert table.release([b"a"], b"one")
        assert _states(table, b"a", b"two") == (GRANTED,)

    def test_names_are_taken_up_to_the_first_that_is_held(self, table: LockTable) -> None:
        """With `skip`, names that are held are left out instead."""
        assert _states(table, b"b", b"one") == (GRANTED,)
        assert table.acquire([b"a", b"b", b"c"], b"two", LONG, False).states == (GRANTED, HELD)
        assert _states(table, b"c", b"three") == (GRANTED,)
        assert table.release([b"a"], b"two")
        assert table.release([b"c"], b"three")
        assert table.acquire([b"a", b"b", b"c"], b"two", LONG, True).states == (GRANTED, HELD, GRANTED)

    def test_tokens_grow(self, table: LockTable) -> None:
        """Each owner's token is greater than the one before."""
        tokens = []
        for number in range(5):
            tokens.append(table.acquire([b"a"], b"%d" % number, LONG, False).token)
            table.release([b"a"], b"%d" % number)
        assert tokens == sorted(set(tokens))
        assert tokens[0] > 0

    def test_an_attempt_returns_the_newest_version(self, store: Store, table: LockTable) -> None:
        """All commits of former holders are at this version or before."""
        version = commit(store, put(b"a"))
        assert table.acquire([b"a"], b"one", LONG, False).version >= version

    def test_a_holder_that_does_not_renew_is_overtaken(self, table: LockTable) -> None:
        """Another owner gets the name after the TTL; then the first can neither renew nor release it."""
        assert _states(table, b"a", b"one", SHORT) == (GRANTED,)
        assert _take(table, b"a", b"two").states == (OVERTOOK,)
        assert not table.renew([b"a"], b"one", LONG)
        assert not table.release([b"a"], b"one")
        assert _states(table, b"a", b"three") == (HELD,)

    def test_a_holder_that_renews_is_not_overtaken(self, table: LockTable) -> None:
        """A renewal begins the TTL anew."""
        assert _states(table, b"a", b"one", SHORT) == (GRANTED,)
        for _ in range(4):
            assert table.renew([b"a"], b"one", LONG)
            assert _states(table, b"a", b"two") == (HELD,)
            time.sleep(SHORT / 3)
        assert _states(table, b"a", b"two") == (HELD,)

    def test_what_is_not_held_can_be_neither_renewed_nor_released(self, table: LockTable) -> None:
        """The same is true for names that are held in part."""
        assert not table.renew([b"a"], b"one", LONG)
        assert not table.release([b"a"], b"one")
        assert _states(table, b"a", b"one") == (GRANTED,)
        assert not table.renew([b"a", b"b"], b"one", LONG)
        assert not table.release([b"a", b"b"], b"one")
        assert _states(table, b"a", b"two") == (GRANTED,)

    def test_a_release_ends_a_wait(self, table: LockTable) -> None:
        """A release between the attempt and the wait is not missed."""
        assert _states(table, b"a", b"one") == (GRANTED,)
        attempt = table.acquire([b"a"], b"two", LONG, False)
        assert attempt.states == (HELD,)
        assert 0 < attempt.left <= LONG
        table.release([b"a"], b"one")
        began = time.monotonic()
        table.wait(b"a", attempt.ticket, LONG)
        assert _states(table, b"a", b"two") == (GRANTED,)
        releasing = threading.Timer(SHORT, table.release, [[b"a"], b"two"])
        releasing.start()
        assert _take(table, b"a", b"three").states == (GRANTED,)
        releasing.join()
        assert time.monotonic() - began < LONG / 2

    def test_holders_are_listed(self, table: LockTable) -> None:
        """Names that are held are listed in order, with their owners and what is left of their TTLs."""
        assert table.holders() == []
        table.acquire([b"b", b"a"], b"one", LONG, False)
        table.acquire([b"c"], b"two", SHORT, False)
        table.acquire([b"d"], b"two", LONG, False)
        table.release([b"d"], b"two")
        held = table.holders()
        assert [(each.name, each.owner) for each in held] == [(b"a", b"one"), (b"b", b"one"), (b"c", b"two")]
        assert all(0 < each.left <= LONG for each in held)
        assert held[2].left <= SHORT
        time.sleep(SHORT)
        assert [each.name for each in table.holders()] == [b"a", b"b"]

    def test_a_commit_to_a_locked_row_is_refused(self, store: Store) -> None:
        """Nothing is applied, and the error names the locks; the owner's commit, and commits of other rows, succeed."""
        table = store.lock_table()
        if isinstance(table, CommitLocks):
            pytest.skip("this store has the default lock table, which commits do not ask")
        commit(store, Write(b"r1", b"b", b"old"))
        names = [row_lock_name(b"r1", b"a"), row_lock_name(b"r1", b"b"), row_lock_name(b"r2", b"a"), b"a"]
        table.acquire(names, b"one", LONG, False)
        for writes, held in (
            ([Write(b"r1", b"b", None), Write(b"i1", b"a", b"")], names[1:2]),
            ([Write(b"r2", b"a", b""), Write(b"r1", b"c", b""), Write(b"r1", b"a", b"")], [names[2], names[0]]),
        ):
            for owner in (b"", b"two"):
                with pytest.raises(KeysLocked) as caught:
                    store.commit(Batch(uuid.uuid4().bytes, writes=writes, owner=owner))
                assert sorted(caught.value.names) == sorted(held)
        assert store.version() == 1
        assert commit(store, Write(b"r1", b"c", b""), Write(b"i1", b"b", b""), Write(b"n", b"a", b"")) == 2
        token = uuid.uuid4().bytes
        mine = Batch(token, writes=[Write(b"r1", b"a", b""), Write(b"r1", b"b", b"")], owner=b"one")
        assert store.commit(mine) == 3
        table.release(names, b"one")
        table.acquire(names, b"two", LONG, False)
        assert store.commit(mine) == 3  # it was sent again
        table.release(names, b"two")
        assert commit(store, Write(b"r1", b"b", b"new")) == 4

    def test_commits_depend_on_no_clock(self, store: Store) -> None:
        """A lock whose TTL has passed refuses a commit until its owner is overtaken."""
        table = store.lock_table()
        if isinstance(table, CommitLocks):
            pytest.skip("this store has the default lock table, which commits do not ask")
        names = [row_lock_name(b"r1", b"a")]
        table.acquire(names, b"one", SHORT, False)
        batch = Batch(uuid.uuid4().bytes, writes=[Write(b"r1", b"a", b"")], owner=b"two")
        time.sleep(2 * SHORT)
        with pytest.raises(KeysLocked):
            store.commit(batch)
        assert _take(table, names[0], b"two").states == (OVERTOOK,)
        assert store.commit(batch) == 1

    def test_a_wait_can_be_ended(self, table: LockTable) -> None:
        """After `wake`, a wait returns whose attempt was before; the name is still held."""
        assert _states(table, b"a", b"one") == (GRANTED,)
        attempt = table.acquire([b"a"], b"two", LONG, False)
        waking = threading.Timer(SHORT, table.wake, [b"a"])
        began = time.monotonic()
        waking.start()
        table.wait(b"a", attempt.ticket, LONG)
        waking.join()
        table.wait(b"a", attempt.ticket, LONG)  # a wake between the attempt and the wait is not missed
        assert time.monotonic() - began < LONG / 2
        assert _states(table, b"a", b"two") == (HELD,)

    def test_databases_have_tables_of_their_own(self, table: LockTable, open_database: OpenDatabase) -> None:
        """A name that is held in one database is free in another."""
        assert _states(table, b"a", b"one") == (GRANTED,)
        assert _states(open_database().lock_table(), b"a", b"two") == (GRANTED,)

    def test_stores_of_one_database_share_its_table(
        self, store: Store, database_url: str, open_database: OpenDatabase
    ) -> None:
        """A name that is held through one store is held for the other."""
        assert _states(store.lock_table(), b"a", b"one") == (GRANTED,)
        assert _states(open_database(database_url).lock_table(), b"a", b"two") == (HELD,)


def _states(table: LockTable, name: bytes, owner: bytes, ttl: float = LONG) -> Any:
    return table.acquire([name], owner, ttl, False).states


def _take(table: LockTable, name: bytes, owner: bytes) -> Attempt:
    """Wait for a name and take it."""
    while True:
        attempt = table.acquire([name], owner, LONG, False)
        if attempt.states != (HELD,):
            return attempt
        table.wait(name, attempt.ticket, attempt.left)
