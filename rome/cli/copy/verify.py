"""Checksums of tables: the sum of the digests of their rows, so that the order does not matter."""

from __future__ import annotations

import hashlib

from rome.cli.copy.values import Rows, canonical_row

_MODULUS = 2**64


class Checksum:
    """The number of rows, and the sum of their digests."""

    def __init__(self) -> None:
        self.rows = 0
        self._total = 0

    def add(self, rows: Rows) -> None:
        """Add some rows."""
        digest = hashlib.blake2b
        for row in map(canonical_row, rows):
            data = repr(row).encode("utf-8", "surrogatepass")
            self._total += int.from_bytes(digest(data, digest_size=8).digest(), "big")
        self.rows += len(rows)

    @property
    def digest(self) -> str:
        """The sum of the digests."""
        return f"{self._total % _MODULUS:016x}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checksum) and (self.rows, self.digest) == (other.rows, other.digest)

    def __hash__(self) -> int:
        return hash((self.rows, self.digest))
