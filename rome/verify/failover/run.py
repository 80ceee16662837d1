"""One run: clients commit, the primary fails, another one takes its place, and the rows are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from rome.database.registry import drop_database
from rome.dbapi import connect
from rome.testing import check_database
from rome.url import parse_url
from rome.verify.failover.client import Client, Row
from rome.verify.faults.sentinels import SentinelGroup
from rome.verify.faults.server import wait_until

_DATABASE = "failover"
_COMMITS = 100
"""That each client makes before and after the failover."""


@dataclass(frozen=True)
class Losses:
    """Numbers of rows, by what their commits had answered, and the seconds without an acknowledged commit."""

    acknowledged: int
    acknowledged_lost: int
    not_replicated: int
    not_replicated_lost: int
    unknown: int
    unknown_lost: int
    doubled: int
    seconds: float
    findings: Sequence[str]
    """Of the check of the database."""


def _kill(group: SentinelGroup, former: int, _clients: Sequence[Client]) -> None:
    group.servers[former].kill()
    group.wait_for_another(former)
    group.servers[former].start()


def _hang(group: SentinelGroup, former: int, _clients: Sequence[Client]) -> None:
    group.servers[former].hang()
    group.wait_for_another(former)
    group.servers[former].resume()


def _part(group: SentinelGroup, former: int, clients: Sequence[Client]) -> None:
    group.proxies[former].part()
    group.wait_for_another(former)
    _wait_for_commits([clients[-1]], _applied)
    group.proxies[former].join()


_Fault = Callable[[SentinelGroup, int, Sequence[Client]], None]
FAULTS: dict[str, _Fault] = {"kill": _kill, "hang": _hang, "partition": _part}


def run_failover(group: SentinelGroup, fault: str, replicas: int = 0, clients: int = 4) -> Losses:
    """Let the primary fail while clients commit. `replicas`: the option of their URLs. Raise TimeoutError."""
    options = f"&replicas={replicas}&replicas_timeout=0.5" if replicas else ""
    drop_database(parse_url(group.url(_DATABASE)))
    with closing(connect(group.url(_DATABASE))) as connection:
        connection.execute("CREATE TABLE rows_of_clients (id INTEGER PRIMARY KEY, client INT, serial INT)")
        connection.commit()
    asking = [Client(group.url(_DATABASE, options), number) for number in range(clients)]
    _wait_for_commits(asking)
    # Known as late as possible: on a busy machine, the Sentinels may have found a reason of their own to change it.
    former = group.primary
    beside = [Client(group.url_of(former, _DATABASE, options), clients)] if fault == "partition" else []
    _wait_for_commits(beside)
    FAULTS[fault](group, former, [*asking, *beside])
    for client in beside:
        client.stop()
    _wait_for_commits(asking)
    for client in asking:
        client.stop()
    group.wait_until_whole()
    with closing(connect(group.url(_DATABASE))) as connection:
        found: list[Any] = connection.execute("SELECT client, serial FROM rows_of_clients").fetchall()
    return _compared([*asking, *beside], Counter(found), check_database(group.url(_DATABASE)))


def _wait_for_commits(
    clients: Sequence[Client], count: Callable[[Client], int] = lambda each: len(each.acknowledged)
) -> None:
    """Wait until each client has made some more commits: those that `count` counts."""
    before = {client.number: count(client) for client in clients}
    wait_until(lambda: all(count(client) - before[client.number] >= _COMMITS for client in clients))


def _applied(client: Client) -> int:
    # A commit that waits for replicas in vain takes the whole timeout: it counts for more.
    return len(client.acknowledged) + _COMMITS // 4 * len(client.not_replicated)


def _compared(clients: Sequence[Client], found: Counter[Row], findings: Sequence[object]) -> Losses:
    acknowledged, unsafe, unknown = (
        set[Row]().union(*sets)
        for sets in (
            [client.acknowledged for client in clients],
            [client.not_replicated for client in clients],
            [client.unknown for client in clients],
        )
    )
    return Losses(
        acknowledged=len(acknowledged),
        acknowledged_lost=len(acknowledged - found.keys()),
        not_replicated=len(unsafe),
        not_replicated_lost=len(unsafe - found.keys()),
        unknown=len(unknown),
        unknown_lost=len(unknown - found.keys()),
        doubled=sum(count - 1 for count in found.values()),
        seconds=max(client.longest for client in clients),
        findings=[str(finding) for finding in findings],
    )
