"""Checksums of tables: the sum of the digests of their rows, so that the order does not matter."""

from __future__ import annotations

import hashlib
import sys
from array import array

import msgpack

from rome.cli.copy.values import Rows, canonical_rows

_MODULUS = 2**64


class Checksum:
    """The number of rows, and the sum of their digests."""

    def __init__(self) -> None:
        self.rows = 0
        self._total = 0

    def add(self, rows: Rows) -> None:
        """Add some rows."""
        digest = hashlib.blake2b
        pack = msgpack.Packer(unicode_errors="surrogatepass", default=str).pack
        digests = array("Q", b"".join([digest(pack(row), digest_size=8).digest() for row in canonical_rows(rows)]))
        if sys.byteorder == "little":
            digests.byteswap()
        self._total += sum(digests)
        self.rows += len(rows)

    @property
    def digest(self) -> str:
        """The sum of the digests."""
        return f"{self._total % _MODULUS:016x}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checksum) and (self.rows, self.digest) == (other.rows, other.digest)

    def __hash__(self) -> int:
        return hash((self.rows, self.digest))
