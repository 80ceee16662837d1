"""The checksums by which `rome copy` compares a table in two databases."""

import datetime as dt
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rome.cli.copy.verify import Checksum

VALUES = st.none() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
TYPED = st.decimals(allow_nan=False, places=3) | st.dates() | st.times() | st.datetimes() | st.lists(st.integers())
ROWS = st.lists(st.tuples(VALUES, VALUES))


def checksum(*batches):
    found = Checksum()
    for rows in batches:
        found.add(rows)
    return found


@given(ROWS | st.lists(st.tuples(VALUES | TYPED, st.none() | TYPED)), st.randoms())
def test_order_and_batches_do_not_matter(rows, random):
    other = random.sample(rows, len(rows))
    middle = random.randint(0, len(rows))
    assert checksum(rows) == checksum(other[:middle], other[middle:])


@given(st.lists(st.datetimes(timezones=st.just(dt.UTC)) | st.none()))
def test_moments_in_utc_equal_those_without_a_time_zone(moments):
    naive = [moment and moment.replace(tzinfo=None) for moment in moments]
    assert checksum([(moment,) for moment in moments]) == checksum([(moment,) for moment in naive])


@given(ROWS, ROWS)
def test_other_rows_have_another_checksum(some, others):
    def as_texts(rows):
        return sorted(map(repr, rows))

    assert (checksum(some) == checksum(others)) == (as_texts(some) == as_texts(others))


def test_values_that_databases_return_as_other_types():
    moment = dt.datetime(2026, 1, 2, 3, 4, 5)
    one = [(Decimal("1.50"), moment.replace(tzinfo=dt.UTC), memoryview(b"x"), {"a": 1, "b": [2]}, 2**70)]
    same = [(Decimal("1.5"), moment, b"x", {"b": [2], "a": 1}, 2**70)]
    assert checksum(one) == checksum(same)


def test_texts_that_are_not_unicode():
    assert checksum([("\ud800",)]) != checksum([("\ud801",)])
