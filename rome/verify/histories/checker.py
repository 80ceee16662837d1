"""Checks a history of list appends against what an isolation level promises.

    >>> from rome.verify.histories.history import Append, History, Read, Transaction
    >>> first = Transaction("first", (Append(1, 10),), begin=1, end=2)
    >>> second = Transaction("second", (Read(1, ()), Append(1, 11)), begin=3, end=4)
    >>> [finding.kind for finding in check(History([first, second], {1: (10, 11)}), "SNAPSHOT")]
    ['G-single-realtime']

The second began after the first was acknowledged, and did not see its append.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rome.verify.histories.cycles import cycle_faults
from rome.verify.histories.graph import dependencies
from rome.verify.histories.history import Finding, History
from rome.verify.histories.reads import applied, lost_appends, own_faults, read_faults
from rome.verify.histories.versions import disorders, longest_reads, writers

_ALWAYS = frozenset(
    {
        *("duplicate", "incompatible order", "garbage", "internal", "lost", "half commit"),
        *("G0", "G0-realtime", "G1a", "G1b", "G1c", "G1c-realtime"),
    }
)
_SNAPSHOT = _ALWAYS | {"G-single", "G-single-realtime", "G-nonadjacent", "G-nonadjacent-realtime"}

FORBIDDEN: Mapping[str, frozenset[str]] = {
    "READ COMMITTED": _ALWAYS,
    "SNAPSHOT": _SNAPSHOT,
    "SERIALIZABLE": _SNAPSHOT | {"G2", "G2-realtime"},
}
"""Level → kinds of anomalies that it promises to prevent. SERIALIZABLE is strict: the order is that of real time."""


def check(history: History, level: str) -> list[Finding]:
    """What in this history the level forbids."""
    return [finding for finding in anomalies(history) if finding.kind in FORBIDDEN[level]]


def anomalies(history: History) -> list[Finding]:
    """Every anomaly in a history, forbidden or not; of each kind of cycle one for each knot of transactions."""
    wrote = writers(history)
    order = longest_reads(history)
    took_place = applied(history, order)
    return [
        *_once(read_faults(history, wrote)),
        *_once(own_faults(history)),
        *_once(disorders(history, order)),
        *_once(lost_appends(history)),
        *cycle_faults(took_place, dependencies(took_place, order)),
    ]


def _once(findings: Iterable[Finding]) -> Iterable[Finding]:
    """The same story is told once."""
    return dict.fromkeys(findings)
