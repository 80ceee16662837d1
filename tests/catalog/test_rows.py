"""The encoding of rows, and its round trip."""

import math

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rome.catalog.rows import decode_row, decode_rows, encode_row
from rome.errors import DataError, FormatError

values = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(), st.binary())


@given(st.integers(1, 10**6), st.lists(values))
def test_what_is_encoded_is_decoded(schema, row):
    number, decoded = decode_row(encode_row(schema, row))
    assert (number, decoded) == (schema, tuple(row))
    assert [type(value) for value in decoded] == [type(value) for value in row]


def test_a_row_is_a_msgpack_list_that_begins_with_the_schema_number():
    assert msgpack.unpackb(encode_row(3, [1, "a", b"\xff", None, 1.0])) == [3, 1, "a", b"\xff", None, 1.0]


def test_not_a_number_and_infinity():
    _, (nan, infinity) = decode_row(encode_row(1, [math.nan, math.inf]))
    assert math.isnan(nan)
    assert infinity == math.inf


@pytest.mark.parametrize("value", [object(), [1], {}, True, 2**64, "\ud800"])
def test_values_that_sqlite_cannot_store_are_refused(value):
    with pytest.raises(DataError, match="can't be stored"):
        encode_row(1, [value])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"text",
        msgpack.packb(5),
        msgpack.packb([]),
        msgpack.packb(["1", "a"]),
        msgpack.packb([1, [2]]),
        msgpack.packb([1, True]),
        msgpack.packb([1, "a"]) + b"\0",
        msgpack.packb([1, "abc"])[:-1],
        msgpack.packb([1, b"\xff"], use_bin_type=False),
    ],
)
def test_bytes_that_are_no_row_are_refused(data):
    with pytest.raises(FormatError, match="a row does not decode"):
        decode_row(data)


def test_the_message_shows_no_more_than_the_beginning():
    with pytest.raises(FormatError, match=r"\(100000 bytes\)$") as raised:
        decode_row(b"\xc1" * 100_000)
    assert len(str(raised.value)) < 300


@given(st.binary(max_size=30))
def test_any_bytes_decode_or_are_refused(data):
    try:
        schema, _ = decode_row(data)
    except FormatError:
        return
    assert isinstance(schema, int)


ROWS = [[1, "a", 2], [1, None, 2.5], [1, b"\xff", "é\x92"]]


def test_rows_of_one_schema_are_decoded_at_once():
    assert decode_rows([msgpack.packb(row) for row in ROWS], 1, 2) == [("a", 2), (None, 2.5), (b"\xff", "é\x92")]
    assert decode_rows([], 1, 2) == []


@given(st.lists(st.lists(values, min_size=3, max_size=3), max_size=20))
def test_many_rows_are_decoded_as_each_of_them(rows):
    data = [encode_row(7, row) for row in rows]
    assert decode_rows(data, 7, 3) == [decode_row(each)[1] for each in data]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"text",
        b"\xc0",
        msgpack.packb(5),
        msgpack.packb([]),
        msgpack.packb([1, "a"]),
        msgpack.packb([1, "a", 2, 3]),
        msgpack.packb([2, "a", 2]),
        msgpack.packb([1, "a", [2]]),
        msgpack.packb([1, "a", []]),
        msgpack.packb([1, "a", {}]),
        msgpack.packb([1, "a", {"b": 2}]),
        msgpack.packb([1, "a", True]),
        msgpack.packb([True, "a", 2]),
        msgpack.packb([1, "a", msgpack.ExtType(5, b"text")]),
        msgpack.packb([1, "a", msgpack.Timestamp(1)]),
        msgpack.packb([1, "a", 2]) + b"\0",
        msgpack.packb([1, "a", 2]) * 2,
        msgpack.packb([1, "a", "bcd"])[:-1],
        msgpack.packb([1, "a", b"\xff"], use_bin_type=False),
        None,
    ],
)
def test_rows_of_which_one_is_none_are_not_decoded_at_once(data):
    others = [msgpack.packb(row) for row in ROWS]
    assert decode_rows([*others, data], 1, 2) is None
    assert decode_rows([data, *others], 1, 2) is None
    assert decode_rows([data], 1, 2) is None
