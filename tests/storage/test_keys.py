"""Keys sort as SQLite sorts their values: compared with SQLite."""

import math

import apsw
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rome.errors import DataError, FormatError, NotSupportedError
from rome.storage.keys import AFTER_NULL, decode, encode, encode_each, entry, prefix_end, row_key_of
from rome.storage.store import LAST
from rome.values import collate

sqlite = apsw.Connection(":memory:")

INT64 = (-(2**63), 2**63 - 1)
EDGES = [
    0,
    *(sign * (2**bits + by) for bits in (7, 8, 16, 31, 32, 53, 56, 62, 63) for sign in (1, -1) for by in (-1, 0, 1)),
]
edges = st.sampled_from(EDGES)
integers = st.one_of(st.integers(*INT64), st.integers(-300, 300), edges.filter(lambda n: INT64[0] <= n <= INT64[1]))
floats = st.one_of(
    st.floats(),
    edges.map(float),
    edges.map(lambda n: math.nextafter(n, math.inf)),
    edges.map(lambda n: math.nextafter(n, -math.inf)),
    integers.map(lambda n: n + 0.5),
)
texts = st.one_of(st.text(), st.text("ab\0\x01\x7f\x80é\uffff\U00010000", max_size=4))
blobs = st.one_of(st.binary(), st.binary(max_size=3), st.lists(st.sampled_from([0, 1, 255]), max_size=4).map(bytes))
values = st.one_of(st.none(), integers, floats, texts, blobs)


def compared(left, right, collation="BINARY"):
    """Return -1, 0 or 1 by SQLite's ORDER BY, in which NULLs are first and equal."""
    query = "SELECT (?1 IS NULL AND ?2 IS NOT NULL) OR coalesce(?1 < ?2 COLLATE {0}, 0), ?1 IS ?2 COLLATE {0}"
    less, equal = sqlite.execute(query.format(collation), (left, right)).fetchone()
    return -1 if less else 0 if equal else 1


def order(left, right):
    return (left > right) - (left < right)


@pytest.mark.slow
@settings(max_examples=2000)
@given(values, values)
@example(2**53, float(2**53))
@example(2**53 + 1, float(2**53))
@example(2**63 - 1, 2.0**63)
@example(-(2**63), -(2.0**63))
@example(0.0, -0.0)
@example(-1, math.nextafter(-1, 0))
@example("a", "a\0")
@example(b"a\0", b"a\0\xff")
@example(math.nan, None)
def test_keys_are_ordered_as_sqlite_orders_values(left, right):
    assert order(encode((left,)), encode((right,))) == compared(left, right)


@given(st.lists(values, max_size=12))
def test_order_by_of_sqlite_is_the_order_of_keys(rows):
    sqlite.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (a, at INTEGER PRIMARY KEY)")
    sqlite.executemany("INSERT INTO t (a) VALUES (?)", [(row,) for row in rows])
    by_sqlite = [row[0] for row in sqlite.execute("SELECT at FROM t ORDER BY a, at")]
    by_key = sorted(range(1, len(rows) + 1), key=lambda at: (encode((rows[at - 1],)), at))
    assert by_sqlite == by_key


@settings(max_examples=1000)
@given(st.lists(st.tuples(values, values), min_size=1, max_size=3))
def test_tuples_are_ordered_by_their_first_difference(pairs):
    left, right = encode(a for a, _ in pairs), encode(b for _, b in pairs)
    expected = next((result for result in (compared(a, b) for a, b in pairs) if result), 0)
    assert order(left, right) == expected


@given(st.lists(values, max_size=4))
def test_what_is_encoded_is_decoded(row):
    decoded = decode(encode(row))
    assert [compared(a, b) for a, b in zip(decoded, row, strict=True)] == [0] * len(row)
    assert [type(value) for value in decoded if isinstance(value, (str, bytes))] == [
        type(value) for value in row if isinstance(value, (str, bytes))
    ]


@given(st.lists(values, max_size=2), st.lists(values, max_size=2), values)
def test_prefix_end_is_greater_than_the_keys_of_the_prefix_and_no_others(prefix, more, other):
    begin, end = encode(prefix), prefix_end(encode(prefix))
    assert begin <= encode(prefix + more) < end
    if prefix and compared(other, prefix[-1]):
        assert not begin <= encode([*prefix[:-1], other, *more]) < end


@given(st.lists(values, max_size=3), st.lists(values, max_size=2))
def test_an_entry_leads_to_its_row(columns, key):
    made = entry(encode(columns), encode(key))
    assert row_key_of(made) == encode(key)
    assert encode(columns) <= made < prefix_end(encode(columns))


@given(values)
def test_only_null_is_less_than_after_null(value):
    assert (encode((value,)) < AFTER_NULL) == (compared(value, None) == 0)
    assert b"" < encode((value,)) < LAST


@pytest.mark.parametrize("collation", ["BINARY", "NOCASE", "RTRIM", "nocase"])
@given(left=values, right=values, same=st.text("aA zZ[_éÉ\0", max_size=4), other=st.text("aA zZ[_éÉ\0", max_size=4))
@settings(max_examples=500)
def test_collated_keys_are_ordered_as_sqlite_collates(collation, left, right, same, other):
    for a, b in ((left, right), (same, other), (same, same.swapcase()), (same, same + " ")):
        keys = encode((collate(a, collation),)), encode((collate(b, collation),))
        assert order(*keys) == compared(a, b, collation)


def test_an_unknown_collation_is_named():
    with pytest.raises(NotSupportedError, match="GERMAN"):
        collate("a", "GERMAN")
    assert collate(1, "GERMAN") == 1


COLUMNS = st.one_of(
    st.lists(integers, min_size=9, max_size=9),
    st.lists(integers.filter(lambda number: number > 0), min_size=9, max_size=9).map(sorted),
    st.lists(st.integers(200, 300), min_size=9, max_size=9),
    st.lists(st.sampled_from(["a", "b", "b\0", "é"]), min_size=9, max_size=9),
    st.lists(values, min_size=9, max_size=9),
)


@given(st.lists(COLUMNS, min_size=1, max_size=3), st.integers(0, 9))
def test_many_tuples_are_encoded_as_one_by_one(columns, number):
    columns = [column[:number] for column in columns]
    assert encode_each(columns) == [encode(row) for row in zip(*columns, strict=True)]


def test_many_integers_beyond_64_bits_are_refused():
    with pytest.raises(DataError):
        encode_each([[1, 2**63]])


def test_one_and_one_point_zero_are_one_key():
    assert encode((1,)) == encode((1.0,)) == encode((True,)) == b"\x15\x01\x00"
    assert decode(encode((1.0, -0.0))) == (1, 0)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 10**30])
def test_integers_beyond_64_bits_are_refused(number):
    with pytest.raises(DataError, match=str(number)):
        encode((number,))


@pytest.mark.parametrize("value", [object(), [], {}, 1j, "\ud800"])
def test_values_that_sqlite_cannot_store_are_refused(value):
    with pytest.raises(DataError, match="can't be stored"):
        encode((value,))


def test_a_primary_key_that_is_too_long_for_an_entry_is_refused():
    assert row_key_of(entry(b"", b"k" * 65535)) == b"k" * 65535
    with pytest.raises(DataError, match="65536"):
        entry(b"", b"k" * 65536)


@pytest.mark.parametrize(
    "key",
    [
        "00",
        "02",
        "ff",
        "15",
        "15 01",
        "15 01 02",
        "14 01 80",
        "0b",
        "1d 00",
        "20 61",
        "20 00 ff",
        "20 ff 00",
        "30 61 00 ff",
    ],
)
def test_bytes_that_are_no_key_are_named(key):
    with pytest.raises(FormatError, match=key):
        decode(bytes.fromhex(key))


@pytest.mark.parametrize("data", ["00 05", "61 00 02", "00 05 61 00 04"])
def test_bytes_that_are_no_entry_are_named(data):
    with pytest.raises(FormatError, match=data):
        row_key_of(bytes.fromhex(data))


@given(st.binary(max_size=12))
def test_any_bytes_decode_or_are_refused(data):
    try:
        decoded = decode(data)
    except FormatError:
        return
    assert decode(encode(decoded)) == decoded or any(value != value for value in decoded)
