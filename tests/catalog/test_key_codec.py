"""The keys of a table's rows and of an index's entries."""

import pytest

from rome.catalog.key_codec import rowid_key
from rome.catalog.model import Column, Index, Table
from rome.storage.keys import encode, entry, prefix_end
from rome.storage.store import Get, Lookup, Range
from rome.values import Affinity

PEOPLE = Table(
    "People",
    1,
    "",
    (
        Column("Id", 1, Affinity.INTEGER),
        Column("Name", 2, Affinity.TEXT, "NOCASE"),
        Column("Age", 3, Affinity.INTEGER),
    ),
    key=("Name", "Id"),
    indexes=(
        Index(2, "by_age", False, ("Age",), ("BINARY",)),
        Index(3, "by_name", True, ("Name", "Age"), ("RTRIM", "BINARY")),
        Index(4, "by_length", False, (None,), ("BINARY",), computed=True, terms=("length(name)",)),
    ),
)
ROW = (7, "Bob ", 33)
KEY = encode(("bob ", 7))


def test_a_row_key_is_folded_by_the_collations_of_its_columns():
    assert PEOPLE.row_codec.columns == ("name", "id")
    assert PEOPLE.row_codec.row_key(ROW, 1) == PEOPLE.row_codec.encode(("BOB ", 7)) == KEY


def test_a_hidden_rowid_is_the_row_key_of_a_table_without_a_key():
    codec = Table("t", 1, "", PEOPLE.columns, key=()).row_codec
    assert codec.row_key(ROW, 5) == codec.encode((5,)) == encode((5,))


@pytest.mark.parametrize("rowid", [-(2**63), -1, 0, 1, 1023, 1024, 2**63 - 1])
def test_a_rowid_key_is_the_key_of_the_number(rowid):
    assert rowid_key(rowid) == encode((rowid,))


def test_an_entry_is_folded_by_the_collations_of_the_index():
    by_age, by_name, _ = PEOPLE.index_codecs.values()
    assert by_age.entry(ROW, KEY) == entry(encode((33,)), KEY)
    assert by_name.entry(ROW, KEY) == entry(encode(("Bob", 33)), KEY)
    assert by_name.collated(("Bob ", 33)) == ("Bob", 33)


def test_a_computed_index_has_no_columns_of_its_own():
    assert PEOPLE.index_codecs[4].columns == ()
    assert PEOPLE.index_codecs[4].encode((4,)) == encode((4,))


def test_fewer_values_than_columns_are_a_prefix():
    codec = PEOPLE.index_codecs[3]
    assert codec.encode(("Bob ",)) == encode(("Bob",))
    assert codec.entry(ROW, KEY).startswith(codec.encode(("Bob  ",)))


def test_a_unique_key_with_null_is_none():
    assert PEOPLE.index_codecs[3].encode_unique(("Bob", None)) is None
    assert PEOPLE.index_codecs[3].encode_unique(("Bob ", 33)) == encode(("Bob", 33))


def test_requests():
    key = encode((33,))
    end = prefix_end(key)
    assert PEOPLE.row_codec.get(KEY) == Get(b"r1", (KEY,))
    assert PEOPLE.row_codec.prefix(key) == Range(b"r1", key, end)
    assert PEOPLE.row_codec.requests([(key, end)], 3, True) == (Range(b"r1", key, end, 3, True),)
    assert PEOPLE.index_codecs[2].get(key) == PEOPLE.index_codecs[2].prefix(key) == Lookup(b"i2", b"r1", ((key, end),))
    assert PEOPLE.index_codecs[2].requests([(key, end)], 3, True) == (Lookup(b"i2", b"r1", ((key, end),), 3, True),)
