"""The catalog in the store: one key for each name in the catalog space, as all of SQLite's names share one namespace.

A value is a msgpack map of the object. A change of a table rewrites its key, so that a commit which was prepared with
the former definition, and checks that key, gets a conflict.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from functools import lru_cache
from typing import Any

import msgpack

from rome.catalog.check import check_object
from rome.catalog.model import Catalog, Column, ForeignKey, Index, SchemaObject, Table
from rome.errors import FormatError
from rome.folding import fold_name
from rome.storage.keys import encode
from rome.values import Affinity


@lru_cache(maxsize=10_000)
def catalog_key(name: str) -> bytes:
    """Return the key of a schema object by its name."""
    return encode((fold_name(name),))


USER_VERSION = encode((b"user_version",))
"""The key of the number that PRAGMA user_version sets. No name has it: names are texts."""


def encode_user_version(number: int) -> bytes:
    """Return the value of USER_VERSION."""
    return bytes(msgpack.packb(number))


def encode_object(item: Table | SchemaObject) -> bytes:
    """Return the value of a table or another schema object."""
    return bytes(msgpack.packb(_plain(item)))


def _plain(item: Any) -> Any:
    if isinstance(item, Affinity):
        return item.value
    if isinstance(item, (Table, SchemaObject, Column, Index, ForeignKey)):
        return {field.name: _plain(getattr(item, field.name)) for field in fields(item)}
    if isinstance(item, tuple):
        return [_plain(each) for each in item]
    if isinstance(item, dict):
        return [[key, _plain(value)] for key, value in item.items()]
    return item


def decode_catalog(version: int, pairs: Iterable[tuple[bytes, bytes]], digest: bytes) -> Catalog:
    """Return the catalog of all keys and values of the space. Raise FormatError for a value that does not decode."""
    tables: dict[str, Table] = {}
    objects: dict[str, SchemaObject] = {}
    user_version = 0
    for key, value in pairs:
        item = _decode(key, value)
        if isinstance(item, Table):
            tables[fold_name(item.name)] = item
        elif isinstance(item, SchemaObject):
            objects[fold_name(item.name)] = item
        else:
            user_version = item
    return Catalog(
        version,
        dict(sorted(tables.items(), key=lambda pair: pair[1].id)),
        dict(sorted(objects.items(), key=lambda pair: pair[1].order)),
        digest,
        user_version,
    )


@lru_cache(maxsize=10_000)
def _decode(key: bytes, value: bytes) -> Table | SchemaObject | int:
    """Return the object of a key, or the number of USER_VERSION. Raise FormatError that names the key."""
    try:
        plain = msgpack.unpackb(value)
        if key == USER_VERSION:
            return int(plain)
        item = _table(plain) if "schemas" in plain else SchemaObject(**plain)
        check_object(item)
        if key != catalog_key(item.name):
            raise ValueError(f"it is about {item.name!r}")
    except Exception as error:
        raise FormatError(f"the catalog entry {key!r} does not decode: {error}") from error
    return item


def _table(plain: dict[str, Any]) -> Table:
    plain["columns"] = tuple(
        Column(**{**column, "affinity": Affinity(column["affinity"])}) for column in plain["columns"]
    )
    plain["indexes"] = tuple(Index(**{name: _tupled(value) for name, value in ix.items()}) for ix in plain["indexes"])
    plain["foreign_keys"] = tuple(
        ForeignKey(**{name: _tupled(value) for name, value in key.items()}) for key in plain["foreign_keys"]
    )
    plain["schemas"] = {number: tuple(cids) for number, cids in plain["schemas"]}
    plain["defaults"] = dict(plain["defaults"])
    plain["key"] = tuple(plain["key"])
    plain.pop("autoincrement", None)  # earlier releases stored it
    return Table(**plain)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
