"""Checksums of tables: the sum of the digests of their rows, so that the order does not matter."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Table

from rome.cli.copy.rows import batches, canonical_row

_MODULUS = 2**64


class Checksum(NamedTuple):
    """The number of rows, and the sum of their digests."""

    rows: int
    digest: str


def checksum_of(
    table: Table, key: Sequence[str], connection: Connection, size: int, advance: Callable[[int], None]
) -> Checksum:
    """Return the checksum of a table. `advance` is called with the size of each batch."""
    rows = total = 0
    for batch in batches(table, key, connection, size):
        for row in batch:
            data = repr(canonical_row(row)).encode("utf-8", "surrogatepass")
            total += int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
        rows += len(batch)
        advance(len(batch))
    return Checksum(rows, f"{total % _MODULUS:016x}")
