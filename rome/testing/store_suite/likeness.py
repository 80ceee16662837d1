"""Model-based test: random histories on the engine and on the memory store have equal results at every version."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rome.errors import Conflict
from rome.storage.keys import encode, prefix_end
from rome.storage.memory import MemoryStore
from rome.storage.store import (
    CATALOG,
    LAST,
    Batch,
    Check,
    Count,
    EmptiesSpaces,
    Get,
    Lookup,
    Range,
    Request,
    Scan,
    Store,
    Write,
)
from rome.testing.store_suite.harness import INDEX, ROWS, Harness, delete, key_of, observed, put, put_entry

PLAIN = b"r2"
"""A space without an index; its keys are any bytes."""


class Save(NamedTuple):
    """Put or delete (`column` is None) an indexed row."""

    row: int
    column: int | None


class Commit(NamedTuple):
    """A commit. `checks`: ranges of a space, with the age of the version since which they are checked."""

    saves: Sequence[Save]
    writes: Sequence[Write]
    checks: Sequence[tuple[bytes, bytes, bytes, int]]


class Empty(NamedTuple):
    """A commit that deletes all indexed rows, and checks that they are unwritten since a version of some age."""

    back: int


class Fetch(NamedTuple):
    """A fetch at the newest version (None), or at one that is some versions old."""

    requests: Sequence[Request]
    back: int | None


_bytes = st.binary(min_size=1, max_size=3).filter(lambda key: key[0] != 0xFF)
_keys = st.one_of(st.sampled_from([b"a", b"b", b"b\0", b"b\xff", b"c"]), _bytes)
_columns = st.integers(0, 3)
_rows = st.integers(0, 7)
_limits = st.one_of(st.none(), st.integers(1, 5))
_back = st.integers(0, 6)
_spaces = st.sampled_from([PLAIN, ROWS, INDEX, CATALOG])
_bounds = st.one_of(
    st.just(b""),
    st.just(b"\xff"),
    _keys,
    st.builds(lambda column: encode((column,)), _columns),
    st.builds(lambda column: prefix_end(encode((column,))), _columns),
)


@st.composite
def _disjoint(draw: st.DrawFn) -> tuple[tuple[bytes, bytes], ...]:
    """Generate disjoint ranges, in any order."""
    bounds = sorted(draw(st.lists(_bounds, max_size=6, unique=True)))
    ranges = list(zip(bounds[::2], bounds[1::2], strict=False))
    return tuple(draw(st.permutations(ranges)))


_commits = st.builds(
    Commit,
    st.lists(st.builds(Save, _rows, st.one_of(_columns, st.none())), max_size=4, unique_by=lambda save: save.row),
    st.lists(
        st.builds(Write, st.sampled_from([PLAIN, CATALOG]), _keys, st.one_of(st.binary(min_size=1), st.none())),
        max_size=4,
    ),
    st.lists(st.tuples(_spaces, _bounds, _bounds, _back), max_size=2),
)
_requests: st.SearchStrategy[Request] = st.one_of(
    st.builds(Get, st.sampled_from([PLAIN, CATALOG]), st.lists(_keys, max_size=4).map(tuple)),
    st.builds(Get, st.just(ROWS), st.lists(_rows.map(key_of), max_size=4).map(tuple)),
    st.builds(Range, _spaces, _bounds, _bounds, _limits, st.booleans()),
    st.builds(Lookup, st.just(INDEX), st.just(ROWS), _disjoint(), _limits, st.booleans()),
    st.builds(Count, _spaces, _disjoint()),
    st.builds(Scan, st.sampled_from([PLAIN, ROWS, CATALOG])),
)
_empties = st.builds(Empty, st.sampled_from([0, 0, 0, 1, 3]))
_fetches = st.builds(Fetch, st.lists(_requests, max_size=4), st.one_of(st.none(), _back))


class Likeness(Harness):
    """The comparison with the memory store, which is the model."""

    @settings(
        deadline=None,
        max_examples=60,
        # The database is cleared for each example; subclasses run it against their engines; servers are slow.
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
            HealthCheck.too_slow,
        ],
    )
    @given(st.lists(st.one_of(_commits, _fetches, _empties), min_size=1, max_size=25))
    def test_random_histories(self, store: Store, history: list[Commit | Fetch | Empty]) -> None:
        """Versions, answers, conflicts and changes are equal."""
        model = MemoryStore(f"model-{uuid.uuid4().hex}")
        store.clear()
        columns: dict[int, int] = {}
        for step in history:
            newest = model.version()
            if isinstance(step, Fetch):
                at = None if step.back is None else max(0, newest - step.back)
                expected = observed(step.requests, model.fetch(step.requests, at))
                assert observed(step.requests, store.fetch(step.requests, at)) == expected
                continue
            after = dict(columns)
            if isinstance(step, Empty):
                batch = _empty(step, newest)
                after.clear()
            else:
                batch = _batch(step, after, newest)
            outcome = _outcome(model, batch)
            assert _outcome(store, batch) == outcome
            columns = columns if outcome is Conflict else after
        assert _changes(store) == _changes(model)
        model.clear()


def _batch(step: Commit, columns: dict[int, int], newest: int) -> Batch:
    """Return the batch of a step. `columns`, by row, is updated, so that each row has exactly one entry."""
    writes = list(step.writes)
    for row, column in step.saves:
        key = key_of(row)
        if row in columns:
            writes.append(delete(put_entry(columns.pop(row), key).key, INDEX))
        if column is None:
            writes.append(delete(key))
        else:
            columns[row] = column
            writes += [put(key, b"row %d %d %s" % (row, column, uuid.uuid4().bytes)), put_entry(column, key)]
    checks = [Check(space, begin, end, max(0, newest - back)) for space, begin, end, back in step.checks]
    return Batch(uuid.uuid4().bytes, checks, writes)


def _empty(step: Empty, newest: int) -> Batch:
    checks = [Check(ROWS, b"", LAST, max(0, newest - step.back))]
    return Batch(uuid.uuid4().bytes, checks, [put(b"e", space=PLAIN)], empties=[ROWS, INDEX])


def _one_by_one(store: Store, batch: Batch) -> Batch:
    """Return a batch that deletes single keys, in place of one that empties spaces."""
    keys = [(space, key) for space in batch.empties for key, _ in store.fetch([Range(space)]).answers[0]]
    writes = [*batch.writes, *[delete(key, space) for space, key in keys]]
    return replace(batch, token=uuid.uuid4().bytes, writes=writes, empties=())


def _outcome(store: Store, batch: Batch) -> Any:
    """Commit a batch. An engine may refuse to empty a space; then single keys are deleted."""
    if batch.empties and not isinstance(store, EmptiesSpaces):
        return _outcome(store, _one_by_one(store, batch))
    try:
        return store.commit(batch)
    except Conflict as conflict:
        return _outcome(store, _one_by_one(store, batch)) if conflict.space in batch.empties else Conflict


def _changes(store: Store) -> list[Any]:
    """Return the log, without what engines may do differently: the order of keys."""
    return [(version, sorted(changes, key=lambda change: change[:2])) for version, changes in store.changes(0)]
