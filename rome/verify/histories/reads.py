"""Faults that one read, or one transaction, shows without a look at the order of all: no graph is needed for these."""

from __future__ import annotations

from collections.abc import Iterator

from rome.verify.histories.history import Append, Finding, History, Outcome, Transaction
from rome.verify.histories.versions import Writers, observations


def read_faults(history: History, writers: Writers) -> Iterator[Finding]:
    """Reads of what was aborted (G1a), of what was not its writer's last append (G1b), and of what nobody wrote."""
    last = {(append.key, each.name): append.value for each in history.transactions for append in each.appends}
    for name, (key, values), _ in observations(history):
        for value in values:
            writer = writers.get((key, value))
            if writer is None:
                yield Finding("garbage", f"{name} read value {value} of key {key}, which nobody appended")
            elif writer.outcome is Outcome.ABORTED:
                yield Finding(
                    "G1a", f"{name} read value {value} of key {key}, which {writer.name} appended and aborted"
                )
        writer = writers.get((key, values[-1])) if values else None
        if writer is not None and writer.name != name and values[-1] != last[key, writer.name]:
            yield Finding(
                "G1b", f"{name} read key {key} up to {values[-1]}, in the midst of what {writer.name} appended"
            )


def own_faults(history: History) -> Iterator[Finding]:
    """Reads that do not show what their own transaction had appended before."""
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
                    "internal", f"{each.name} appended {list(own)} to key {operation.key}, and read {operation.values}"
                )


def lost_appends(history: History) -> Iterator[Finding]:
    """Acknowledged appends that are not in the end, and transactions of which only a part is."""
    if history.final is None:
        return
    present = {(key, value) for key, values in history.final.items() for value in values}
    for each in history.transactions:
        if each.outcome is Outcome.ABORTED:
            continue
        lost = [append for append in each.appends if append not in present]
        if lost and each.outcome is Outcome.COMMITTED:
            yield Finding("lost", f"{each.name} was acknowledged, and its {_told(lost)} is not there in the end")
        if lost and len(lost) < len(each.appends):
            yield Finding("half commit", f"of what {each.name} did, its {_told(lost)} is not there in the end")


def applied(history: History, order: dict[int, tuple[int, ...]]) -> list[Transaction]:
    """The transactions that took place: acknowledged, or without an answer and seen by somebody."""
    seen = {(key, value) for key, values in order.items() for value in values}
    return [
        each
        for each in history.transactions
        if each.outcome is Outcome.COMMITTED
        or (each.outcome is Outcome.UNKNOWN and any(append in seen for append in each.appends))
    ]


def _told(appends: list[Append]) -> str:
    return " and ".join(f"append of {value} to key {key}" for key, value in appends)
