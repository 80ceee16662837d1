"""Many values at once, in an IN list or from the rows of a join, find the rows that SQLite finds, in its order."""

from __future__ import annotations

import itertools
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rome

AFFINITIES = ("INTEGER", "REAL", "NUMERIC", "TEXT", "BLOB")
NUMBER = itertools.count()

INTEGERS = st.sampled_from([-(2**63), -1, 0, 1, 2, 7, 1023, 1024, 65536, 2**53 + 1, 2**63 - 1])
TEXTS = st.sampled_from(["", "a", "A", "a ", "é", "1", "01", "1.0", " 7 ", "1e3", "\0", "a\0b", "９"])
OTHERS = st.sampled_from([None, True, False, 1.0, 7.5, -0.0, float("nan"), float("inf"), b"", b"a", b"1"])
LISTS = st.one_of(
    st.lists(INTEGERS, min_size=2, max_size=6),
    st.lists(TEXTS, min_size=2, max_size=6),
    st.lists(st.one_of(INTEGERS, TEXTS, OTHERS), min_size=2, max_size=6),
)
VALUES = st.lists(st.one_of(INTEGERS, TEXTS, OTHERS), max_size=12)


@pytest.fixture
def both():
    """A function that runs SQL on ROME and on SQLite, and returns both results."""
    url = f"rome+memory:///many_keys_{next(NUMBER)}"
    ours, theirs = rome.connect(url), sqlite3.connect(":memory:")

    def run(sql, parameters=()):
        return [each.execute(sql, parameters).fetchall() for each in (ours, theirs)]

    run.commit = ours.commit  # so that the next statement reads from the store
    yield run
    ours.close()
    theirs.close()
    rome.drop_database(url)


def fill(both, name, values):
    both(f"DELETE FROM {name}")
    for number, value in enumerate(values, 1):
        both(f"INSERT INTO {name} VALUES ({number}, {', '.join('?' * len(AFFINITIES))})", (value,) * len(AFFINITIES))
    both.commit()


def create(both, name, collation=""):
    columns = ", ".join(f"{each}_{name} {each} {collation}" for each in AFFINITIES)
    both(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, {columns})")
    for each in AFFINITIES:
        both(f"CREATE INDEX {name}_{each} ON {name} ({each}_{name})")


@pytest.mark.parametrize("collation", ["", "COLLATE NOCASE", "COLLATE RTRIM"])
def test_in_lists(both, collation):
    create(both, "t", collation)

    @settings(max_examples=40, deadline=None)
    @given(VALUES, LISTS)
    def check(values, wanted):
        fill(both, "t", values)
        marks = ", ".join("?" * len(wanted))
        for column in AFFINITIES:
            ours, theirs = both(f"SELECT id FROM t WHERE {column}_t IN ({marks}) ORDER BY id", wanted)
            assert ours == theirs, column
        ours, theirs = both(f"SELECT id FROM t WHERE id IN ({marks}) ORDER BY id", wanted)
        assert ours == theirs

    check()


def test_joins_of_columns_of_all_affinities(both):
    create(both, "a")
    create(both, "b")

    @settings(max_examples=25, deadline=None)
    @given(VALUES, VALUES)
    def check(left, right):
        fill(both, "a", left)
        fill(both, "b", right)
        for one, other in itertools.product(AFFINITIES, repeat=2):
            ours, theirs = both(f"SELECT a.id, b.id FROM a JOIN b ON b.{other}_b = a.{one}_a WHERE a.id > 2")
            assert sorted(ours) == sorted(theirs), (one, other)
        for one, other in itertools.combinations(AFFINITIES, 2):
            on = f"b.{one}_b = a.{one}_a AND b.{other}_b = a.{other}_a"
            ours, theirs = both(f"SELECT a.id, b.id FROM a JOIN b ON {on} WHERE a.id < 9")
            assert sorted(ours) == sorted(theirs), (one, other)

    check()


def test_the_order_of_unions_and_groups(both):
    create(both, "t")

    @settings(max_examples=60, deadline=None)
    @given(VALUES)
    def check(values):
        fill(both, "t", values)
        for one, other in itertools.permutations(AFFINITIES, 2):
            select = f"SELECT {one}_t, {other}_t FROM t"
            ours, theirs = both(f"{select} WHERE id < 7 UNION {select} WHERE id > 3")
            assert ours == theirs, (one, other)
        for column in AFFINITIES:
            ours, theirs = both(f"SELECT {column}_t, count(*) FROM t GROUP BY {column}_t")
            assert ours == theirs, column

    check()
