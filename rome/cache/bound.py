"""How far reads may be behind, and the tokens by which another process sees what this one has committed."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from rome.errors import InterfaceError


class ReadBound(NamedTuple):
    """How fresh the read version of a transaction is to be."""

    staleness: float | None = None
    """Seconds that it may be behind; None: as the URL says. 0: the newest version."""
    after: int = 0
    """A version that it must not be before."""


DEFAULT = ReadBound()
NEWEST = ReadBound(0.0)


def make_bound(*, fresh: Any = False, staleness: Any = None, after: Any = None) -> ReadBound:
    """Return the bound of `fresh` (True: the newest version), `staleness` in seconds, and a session token.

    Raise InterfaceError for values of other kinds.
    """
    if fresh not in (True, False):
        raise InterfaceError(f"rome_fresh is True or False, not {fresh!r}")
    number = isinstance(staleness, int | float) and not isinstance(staleness, bool)
    if staleness is not None and not (number and math.isfinite(staleness) and staleness >= 0):
        raise InterfaceError(f"rome_staleness is a number of seconds, not {staleness!r}")
    return ReadBound(0.0 if fresh else staleness, 0 if after is None else _version_of(after))


def token_of(version: int) -> str:
    """Return the session token of a version."""
    return f"v{version}"


def _version_of(token: Any) -> int:
    digits = token[1:] if isinstance(token, str) and token.startswith("v") else ""
    if not (digits.isascii() and digits.isdigit()):
        raise InterfaceError(f"rome_after is a token of rome.session_token(), not {token!r}")
    return int(digits)
