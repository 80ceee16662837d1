"""The options of a database's URL that are about its cache."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from rome.errors import InterfaceError
from rome.url import URL

CACHE_OPTIONS = frozenset({"staleness", "cache"})

_DEFAULT_BYTES = 64 * 1024 * 1024
_UNITS = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


class CacheOptions(NamedTuple):
    """`staleness`: seconds that a read may be behind; `most_bytes`: the bound of the cache's memory."""

    staleness: float
    most_bytes: int


def reads_replicas(url: URL) -> bool:
    """Return True if replicas may answer the reads of a URL's store."""
    return url.options.get("read_from") == "replica"


def cache_options(url: URL) -> CacheOptions | None:
    """Return the options of the cache; None if the URL wants none. Raise InterfaceError for a wrong value."""
    text = url.options.get("staleness")
    if text is None:
        if "cache" in url.options:
            raise InterfaceError(
                f"option 'cache' of the ROME URL {url} needs 'staleness', the seconds that reads may be behind"
            )
        return None
    try:
        staleness = float(text)
    except ValueError:
        staleness = -1.0
    if not (math.isfinite(staleness) and staleness >= 0):
        raise InterfaceError(f"option 'staleness' of the ROME URL {url} is not a number of seconds: {text!r}")
    most_bytes = _bytes_of(url, url.options["cache"]) if "cache" in url.options else _DEFAULT_BYTES
    reads_replicas_only = reads_replicas(url) and "cache" not in url.options
    return CacheOptions(staleness, most_bytes) if staleness and not reads_replicas_only else None


def _bytes_of(url: URL, text: str) -> int:
    parts = re.fullmatch(r"([1-9][0-9]*)(|KiB|MiB|GiB)", text)
    if parts is None:
        raise InterfaceError(
            f"option 'cache' of the ROME URL {url} is not a size such as 64MiB (bytes, KiB, MiB or GiB): {text!r}"
        )
    return int(parts[1]) * _UNITS[parts[2]]
