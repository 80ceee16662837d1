"""The SQL texts of the catalog come from the store: whoever can write there must not run other statements here."""

from __future__ import annotations

import pytest

import rome
from rome.catalog.codec import catalog_key, encode_object
from rome.catalog.model import SchemaObject
from rome.database.registry import open_database, release_database
from rome.errors import FormatError
from rome.storage.store import CATALOG, Batch, Write
from rome.url import parse_url


def put_view(url: str, sql: str) -> None:
    database = open_database(parse_url(url))
    try:
        view = encode_object(SchemaObject("view", "v", "v", sql))
        database.store.commit(Batch(b"a token of 16 by", [], [Write(CATALOG, catalog_key("v"), view)]))
    finally:
        release_database(database)


@pytest.mark.parametrize("more", ["CREATE VIEW v AS SELECT 1; ATTACH '{}' AS other", "ATTACH '{}' AS other"])
def test_a_second_statement_is_refused(url, tmp_path, more):
    target = tmp_path / "written.db"
    put_view(url, more.format(target))
    refusal = pytest.raises(FormatError, match="definition of v is not a single CREATE statement")
    with rome.connect(url) as connection, refusal:
        connection.execute("SELECT * FROM v")
    assert not target.exists()
