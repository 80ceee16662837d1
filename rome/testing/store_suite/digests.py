"""Tests of digests, which distinguish versions of equal numbers and detect lost commits."""

from __future__ import annotations

import uuid

import pytest

from rome.errors import HistoryLost, SnapshotTooOld
from rome.storage.store import CATALOG, Batch, Check, Get, Range, Store
from rome.testing.store_suite.harness import ROWS, Harness, OpenDatabase, ask, commit, put

OTHER = b"otherone"


def commit_on(store: Store, seen: dict[int, bytes], token: bytes | None = None) -> int:
    """Commit one row in a batch that depends on versions which were seen."""
    checks = [Check(ROWS, b"x", b"x\0", version) for version in seen]
    return store.commit(Batch(token or uuid.uuid4().bytes, checks, [put(b"z")], seen=seen))


class Digests(Harness):
    """Tests of `Fetched.digest`, `Fetched.catalog_digest` and `Batch.seen`."""

    def test_each_version_has_a_digest(self, store: Store) -> None:
        """That of version 0 is empty; a snapshot read returns that of its version; clients may know the next one."""
        digests = [b""]
        assert store.fetch([]).digest == b""
        for number in range(5):
            token = b"token %d" % number
            commit(store, put(b"a"), token=token)
            digests.append(store.digest_after(digests[-1], token) or store.fetch([]).digest)
            assert store.fetch([]).digest == store.fetch([Get(ROWS, (b"a",))]).digest == digests[-1]
        for version, digest in enumerate(digests):
            assert store.fetch([Range(ROWS)], version).digest == digest

    def test_the_catalog_has_the_digest_of_its_version(self, store: Store) -> None:
        """Commits to other spaces do not change it; a snapshot read returns that of its version."""
        commit(store, put(b"a"))
        assert store.fetch([]).catalog_digest == b""
        commit(store, put(b"t", space=CATALOG))
        made = store.fetch([])
        assert made.catalog_digest == made.digest != b""
        commit(store, put(b"a"))
        assert store.fetch([]).catalog_digest == made.digest
        commit(store, put(b"t", space=CATALOG))
        changed = store.fetch([])
        assert changed.catalog_digest == changed.digest != made.digest
        assert store.fetch([], 1).catalog_digest == store.fetch([], 0).catalog_digest == b""
        assert store.fetch([], 3).catalog_digest == made.digest

    def test_what_was_seen_is_in_the_past(self, store: Store) -> None:
        """A batch may depend on any past version, and on several."""
        digests = {commit(store, put(b"a")): store.fetch([]).digest for _ in range(5)}
        for version, digest in digests.items():
            commit_on(store, {version: digest})
        assert commit_on(store, digests) == 11

    def test_what_was_seen_is_not_in_the_past(self, store: Store) -> None:
        """A version with another digest and a future version are refused; nothing is applied."""
        seen = {commit(store, put(b"a")): store.fetch([]).digest for _ in range(3)}
        for lost in ({3: OTHER}, {1: OTHER}, {4: OTHER}, {**seen, 2: OTHER}, {2: seen[1]}):
            with pytest.raises(HistoryLost):
                commit_on(store, lost, b"refused")
            with pytest.raises(HistoryLost):
                store.commit(Batch(b"refused", seen=lost))
        assert ask(store, Range(ROWS)) == [(b"a", b"value")]
        assert commit_on(store, seen, b"refused") == 4

    def test_a_token_is_looked_up_before_what_was_seen(self, store: Store) -> None:
        """A repeated commit returns its version, whatever it has seen."""
        commit(store, put(b"a"), token=b"token")
        assert store.commit(Batch(b"token", seen={1: OTHER})) == 1

    def test_a_future_version_is_not_in_the_past(self, store: Store) -> None:
        """A client that has read it has read a commit that was lost."""
        commit(store, put(b"a"))
        with pytest.raises(HistoryLost):
            store.fetch([], 2)
        with pytest.raises(HistoryLost):
            list(store.changes(2))
        with pytest.raises(HistoryLost):
            commit(store, put(b"a"), checks=[Check(ROWS, b"", b"b", 2)])

    def test_a_database_that_was_cleared_has_another_past(self, store: Store) -> None:
        """Also when its version numbers are as high again."""
        commit(store, put(b"a"), put(b"t", space=CATALOG))
        seen = store.fetch([])
        store.clear()
        assert store.fetch([])[4:6] == (b"", b"")
        for _ in range(3):
            commit(store, put(b"a"), put(b"t", space=CATALOG))
            assert seen.digest not in (store.fetch([]).digest, store.fetch([]).catalog_digest)
            with pytest.raises(HistoryLost):
                commit_on(store, {seen.version: seen.digest})

    def test_a_copy_begins_at_the_version_that_it_copies(self, store: Store, open_database: OpenDatabase) -> None:
        """Its version has the digest of the source's; later versions differ."""
        commit(store, put(b"t", space=CATALOG))
        commit(store, put(b"a"))
        seen = store.fetch([])
        copy = open_database()
        copy.copy_from(store)
        assert (copy.fetch([]).digest, copy.fetch([]).catalog_digest) == (seen.digest, seen.catalog_digest)
        assert commit_on(copy, {2: seen.digest}) == commit_on(store, {2: seen.digest}) == 3
        assert copy.fetch([]).digest != store.fetch([]).digest
        assert commit_on(copy, {2: seen.digest}) == 4

    def test_digests_older_than_the_log(self, open_database: OpenDatabase) -> None:
        """The engine knows them or refuses the commit; it never accepts a wrong digest."""
        store = open_database(options=self.short_log)
        digests = {commit(store, put(b"a")): store.fetch([]).digest for _ in range(200)}
        for version in (1, 100):
            with pytest.raises((HistoryLost, SnapshotTooOld)):
                commit_on(store, {version: OTHER})
            with pytest.raises((HistoryLost, SnapshotTooOld)):
                commit_on(store, {version: digests[version + 1]})
