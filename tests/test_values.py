"""Affinities, conversions and collations, compared with SQLite."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rome.fallback import NotConvertible
from rome.values import COLLATIONS, Affinity, affinity_of, collate, convert, convert_to_store, number_in

DECLARED = {
    Affinity.TEXT: "TEXT",
    Affinity.NUMERIC: "NUMERIC",
    Affinity.INTEGER: "INT",
    Affinity.REAL: "REAL",
    Affinity.BLOB: "",
}

sqlite = sqlite3.connect(":memory:")

numbers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-5, 5), st.floats(allow_nan=False))
texts = st.one_of(st.text(), numbers.map(str), st.text("0123456789.eE+- ", max_size=8))
values = st.one_of(st.none(), numbers, texts, st.binary())


@pytest.mark.parametrize(
    ("declared", "affinity"),
    [
        ("INTEGER", Affinity.INTEGER),
        ("varchar(36)", Affinity.TEXT),
        ("CLOB", Affinity.TEXT),
        ("DATETIME", Affinity.NUMERIC),
        ("BOOLEAN", Affinity.NUMERIC),
        ("DOUBLE PRECISION", Affinity.REAL),
        ("FLOAT", Affinity.REAL),
        ("", Affinity.BLOB),
        ("POINT", Affinity.INTEGER),
    ],
)
def test_the_affinity_of_a_declared_type(declared, affinity):
    assert affinity_of(declared) is affinity


@given(values, st.sampled_from(Affinity))
def test_a_value_is_stored_as_sqlite_stores_it(value, affinity):
    try:
        stored = convert_to_store(value, affinity)
    except NotConvertible:
        return
    sqlite.execute(f"CREATE TEMP TABLE t (c {DECLARED[affinity]})")
    try:
        sqlite.execute("INSERT INTO t VALUES (?)", (value,))
        (expected,) = sqlite.execute("SELECT c FROM t").fetchone()
    except UnicodeEncodeError:
        return
    finally:
        sqlite.execute("DROP TABLE t")
    assert (type(stored), stored) == (type(expected), expected)


@given(values, st.sampled_from(Affinity))
def test_a_converted_value_is_equal_to_the_same_stored_values(value, affinity):
    """Stored values of the column are equal to the value if and only if they are equal to the converted one."""
    try:
        converted = convert(value, affinity)
    except NotConvertible:
        return
    sqlite.execute(f"CREATE TEMP TABLE t (c {DECLARED[affinity]}, d BLOB)")
    try:
        sqlite.execute("INSERT INTO t VALUES (?1, ?2)", (value, converted))
        # A value without affinity is compared with the column by the column's affinity; +c takes the column's away.
        (found,) = sqlite.execute("SELECT (c = ?1) IS (+c = +d) FROM t", (value,)).fetchone()
    except UnicodeEncodeError:
        return
    finally:
        sqlite.execute("DROP TABLE t")
    assert found


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), (" -3 ", -3), ("1.5", 1.5), ("1e2", 100.0), (".5", 0.5), ("5.", 5.0), ("0" * 30 + "7", 7)],
)
def test_the_number_in_a_text(text, number):
    assert (type(number_in(text)), number_in(text)) == (type(number), number)


@pytest.mark.parametrize("text", ["", "x", "1x", "0x10", "--1", "1 2", "e5", "١"])
def test_a_text_without_a_number(text):
    assert number_in(text) is None


@pytest.mark.parametrize("text", ["9223372036854775808", "0.1234567890123456", "1e23"])
def test_a_number_of_too_many_digits_is_left_to_sqlite(text):
    with pytest.raises(NotConvertible):
        number_in(text)


@given(texts, texts, st.sampled_from(sorted(COLLATIONS)))
def test_texts_are_equal_as_their_folds_are(one, other, collation):
    try:
        (equal,) = sqlite.execute(f"SELECT ?1 = ?2 COLLATE {collation}", (one, other)).fetchone()
    except UnicodeEncodeError:
        return
    assert bool(equal) == (collate(one, collation) == collate(other, collation))
