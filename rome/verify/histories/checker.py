"""Check a history of list appends against what an isolation level guarantees.

    >>> from rome.verify.histories.history import Append, History, Read, Transaction
    >>> first = Transaction("first", (Append(1, 10),), begin=1, end=2)
    >>> second = Transaction("second", (Read(1, ()), Append(1, 11)), begin=3, end=4)
    >>> [finding.kind for finding in check(History([first, second], {1: (10, 11)}), "SNAPSHOT")]
    ['G-single-realtime']

The second transaction began after the first was acknowledged and did not see its append.

The steps: recover the order of each key's values from the longest list that was read (lists only grow, so every other
list must be a prefix of it; this needs no knowledge of the store); find the anomalies that a single read or transaction
shows; find cycles of dependencies (`graph`, `cycles`); keep what the level forbids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rome.verify.histories.cycles import cycle_anomalies
from rome.verify.histories.graph import dependencies
from rome.verify.histories.history import Append, Finding, History, Outcome, Read, Transaction

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
"""Level → kinds of anomalies that it forbids. SERIALIZABLE is strict: its order is consistent with real time."""

Writers = Mapping[tuple[int, int], Transaction]
"""(key, value) → the transaction that appended it."""

VersionOrder = dict[int, tuple[int, ...]]
"""Key → its values in the order in which they were appended."""


def check(history: History, level: str) -> list[Finding]:
    """Return the anomalies of a history that the level forbids."""
    return [finding for finding in anomalies(history) if finding.kind in FORBIDDEN[level]]


def anomalies(history: History) -> list[Finding]:
    """Return every anomaly of a history, forbidden or not; one cycle of each kind for each component of the graph."""
    writers = {(append.key, append.value): each for each in history.transactions for append in each.appends}
    order = version_order(history)
    applied = applied_transactions(history, order)
    return [
        *_distinct(read_anomalies(history, writers)),
        *_distinct(internal_anomalies(history)),
        *_distinct(order_anomalies(history, order)),
        *_distinct(lost_appends(history)),
        *cycle_anomalies(applied, dependencies(applied, order)),
    ]


def _distinct(findings: Iterable[Finding]) -> Iterable[Finding]:
    return dict.fromkeys(findings)


def _observations(history: History) -> Iterator[tuple[str, Read, bool]]:
    """Yield the lists read by transactions that may have committed, and the final lists.

    Each comes with the reader's name and a flag: True if the list is uncertain, because it includes appends of the
    reader itself, whose outcome is unknown.
    """
    for each in history.transactions:
        if each.outcome is Outcome.ABORTED:
            continue
        appended: set[int] = set()
        for operation in each.operations:
            if isinstance(operation, Read):
                yield each.name, operation, operation.key in appended and each.outcome is Outcome.UNKNOWN
            else:
                appended.add(operation.key)
    for key, values in (history.final or {}).items():
        yield "the final read", Read(key, values), False


def version_order(history: History) -> VersionOrder:
    """Return the order of each key's values: the final list, or the longest one that was read.

    An uncertain list may show values that were never committed, so certain ones are preferred.
    """
    order: dict[int, tuple[tuple[bool, int], tuple[int, ...]]] = {}
    for _, (key, values), uncertain in _observations(history):
        rank = (not uncertain, len(values))
        if key not in order or rank > order[key][0]:
            order[key] = rank, values
    longest = {key: values for key, (_, values) in order.items()}
    return longest | dict(history.final or {})


def applied_transactions(history: History, order: VersionOrder) -> list[Transaction]:
    """Return the transactions that took effect: acknowledged, or of unknown outcome with an append that was seen."""
    seen = {(key, value) for key, values in order.items() for value in values}
    return [
        each
        for each in history.transactions
        if each.outcome is Outcome.COMMITTED
        or (each.outcome is Outcome.UNKNOWN and any(append in seen for append in each.appends))
    ]


def read_anomalies(history: History, writers: Writers) -> Iterator[Finding]:
    """Yield aborted reads (G1a), intermediate reads (G1b), and reads of values that nobody appended."""
    last = {(append.key, each.name): append.value for each in history.transactions for append in each.appends}
    for name, (key, values), _ in _observations(history):
        for value in values:
            writer = writers.get((key, value))
            if writer is None:
                yield Finding("garbage", f"{name} read value {value} of key {key}, which no transaction appended")
            elif writer.outcome is Outcome.ABORTED:
                yield Finding(
                    "G1a", f"{name} read value {value} of key {key}, which {writer.name} appended and aborted"
                )
        writer = writers.get((key, values[-1])) if values else None
        if writer is not None and writer.name != name and values[-1] != last[key, writer.name]:
            yield Finding(
                "G1b", f"{name} read key {key} up to {values[-1]}, an intermediate value of {writer.name}'s appends"
            )


def internal_anomalies(history: History) -> Iterator[Finding]:
    """Yield reads that do not show what their own transaction had appended before."""
    for each in history.transactions:
        if each.outcome is Outcome.ABORTED:
            continue
        appended: dict[int, tuple[int, ...]] = {}
        for operation in each.operations:
            if isinstance(operation, Append):
                appended[operation.key] = (*appended.get(operation.key, ()), operation.value)
                continue
            own = appended.get(operation.key, ())
            if own and operation.values[-len(own) :] != own:
                yield Finding(
                    "internal", f"{each.name} appended {list(own)} to key {operation.key} and read {operation.values}"
                )


def order_anomalies(history: History, order: VersionOrder) -> Iterator[Finding]:
    """Yield values that are twice in a list, and lists that are not a prefix of the key's version order."""
    reported: set[int] = set()
    for name, (key, values), uncertain in _observations(history):
        if key in reported:
            continue
        if len(set(values)) < len(values):
            duplicate = next(value for value in values if values.count(value) > 1)
            reported.add(key)
            yield Finding("duplicate", f"{name} read value {duplicate} more than once in key {key}: {_format(values)}")
        elif not uncertain and values != order[key][: len(values)]:
            reported.add(key)
            yield Finding(
                "incompatible order",
                f"{name} read key {key} as {_format(values)}, which is not a prefix of {_format(order[key])}",
            )


def lost_appends(history: History) -> Iterator[Finding]:
    """Yield acknowledged appends that are missing from the final lists, and transactions that are there in part."""
    if history.final is None:
        return
    present = {(key, value) for key, values in history.final.items() for value in values}
    for each in history.transactions:
        if each.outcome is Outcome.ABORTED:
            continue
        lost = [append for append in each.appends if append not in present]
        missing = " and ".join(f"append of {value} to key {key}" for key, value in lost)
        if lost and each.outcome is Outcome.COMMITTED:
            yield Finding("lost", f"{each.name} was acknowledged, and its {missing} is missing in the end")
        if lost and len(lost) < len(each.appends):
            yield Finding("half commit", f"a part of {each.name} is there in the end, and its {missing} is missing")


def _format(values: tuple[int, ...]) -> str:
    if len(values) <= 12:
        return str(list(values))
    return f"[… {', '.join(map(str, values[-12:]))}] ({len(values)} values)"
