"""The history checker finds each kind of anomaly, and nothing in correct histories."""

from __future__ import annotations

import random

import pytest

from rome.verify.histories import Append, History, Outcome, Read, Transaction, anomalies, check
from rome.verify.histories.graph import components


def history(*lines: str, final: dict[int, tuple[int, ...]] | None = None) -> History:
    """Parse transactions, one a line: `name: +key.value key=values …`.

    The name may be followed by `!` for aborted or `?` for unknown, and by `@begin-end`.
    Transactions without times are concurrent.
    """
    transactions = []
    for line in lines:
        head, _, body = line.partition(":")
        name, _, times = head.partition("@")
        begin, end = (map(int, times.split("-"))) if times else (0, 1000)
        operations: list[Append | Read] = []
        for word in body.split():
            if word[0] == "+":
                key, value = word[1:].split(".")
                operations.append(Append(int(key), int(value)))
            else:
                key, values = word.split("=")
                operations.append(Read(int(key), tuple(int(value) for value in values.split(",") if value)))
        outcome = {"!": Outcome.ABORTED, "?": Outcome.UNKNOWN}.get(name[-1], Outcome.COMMITTED)
        transactions.append(Transaction(name, tuple(operations), outcome, begin, end))
    return History(transactions, final)


ANOMALOUS = {
    "G0": history("a: +1.1 +2.1", "b: +1.2 +2.2", "c: 1=1,2 2=2,1"),
    "G1a": history("a!: +1.1", "b: 1=1"),
    "G1b": history("a: +1.1 +1.2", "b: 1=1", "c: 1=1,2"),
    "G1c": history("a: +1.1 2=1", "b: +2.1 1=1"),
    "G-single": history("a: 1= 2=1", "b: +1.1 +2.1", "c: 1=1"),
    "G-nonadjacent": history("a: +1.1 +4.1", "b: 1=1 2=", "c: +2.1 +3.1", "d: 3=1 4=", "e: 2=1 4=1"),
    "G2": history("a: 1= +2.1", "b: 2= +1.1", "c: 1=1 2=1"),
    "G0-realtime": history("a@0-10: +1.1", "b@20-30: +1.2", "c: 1=2,1"),
    "G1c-realtime": history("a@0-10: 1=1", "b@20-30: +1.1"),
    "G-single-realtime": history("a@0-10: +1.1", "b@20-30: 1=", "c@40-50: 1=1"),
    "G-nonadjacent-realtime": history(
        "a@0-10: +4.1", "b@20-30: 2=", "c@0-99: +2.1 +3.1", "d@0-99: 3=1 4=", "e: 2=1 4=1"
    ),
    "G2-realtime": history("a@0-10: +1.1", "b@20-30: 2=", "c@0-99: 1= +2.1", "e: 1=1 2=1"),
    "duplicate": history("a: +1.1", "b: 1=1,1"),
    "incompatible order": history("a: +1.1", "b: +1.2", "c: 1=1", "d: 1=2", "e: 1=1,2"),
    "garbage": history("a: +1.1", "b: 1=7"),
    "internal": history("a: +1.1 1="),
    "lost": history("a: +1.1", "b: +1.2", final={1: (2,)}),
    "half commit": history("a?: +1.1 +2.1", "b: +1.2", final={1: (1, 2), 2: ()}),
}


@pytest.mark.parametrize("kind", ANOMALOUS)
def test_each_anomaly_is_found(kind: str) -> None:
    found = anomalies(ANOMALOUS[kind])
    assert kind in {finding.kind for finding in found}, found
    assert all(finding.description for finding in found)


@pytest.mark.parametrize(
    ("kind", "levels"),
    [
        ("G1a", {"READ COMMITTED", "SNAPSHOT", "SERIALIZABLE"}),
        ("lost", {"READ COMMITTED", "SNAPSHOT", "SERIALIZABLE"}),
        ("G-single", {"SNAPSHOT", "SERIALIZABLE"}),
        ("G2", {"SERIALIZABLE"}),
    ],
)
def test_a_level_forbids_what_it_guarantees_to_prevent(kind: str, levels: set[str]) -> None:
    found = {level for level in ("READ COMMITTED", "SNAPSHOT", "SERIALIZABLE") if check(ANOMALOUS[kind], level)}
    assert found == levels


def test_correct_histories_have_no_anomalies() -> None:
    correct = [
        history(),
        history("a: +1.1", "b: 1=1 +1.2", "c: 1=1,2", final={1: (1, 2)}),
        history("a@0-10: +1.1", "b@5-20: 1=", "c@15-30: 1=1"),  # overlapping: either order is correct
        history(
            "a?: +1.1", "b@20-30: 1=", "c@40-50: 1=1", final={1: (1,)}
        ),  # with an unknown outcome, it may take effect late
        history("a?: +1.1", "b: 1=", final={1: ()}),  # or not at all
        history("a!: +1.1 1=1", final={1: ()}),  # an aborted transaction sees its own append
        history("a?: +1.1 1=1", "b: +1.2 1=2", final={1: (2,)}),
    ]
    for each in correct:
        assert anomalies(each) == []


def serial(seed: int, count: int = 400) -> list[Transaction]:
    """Make a serial history; the recorded times of some transactions overlap."""
    rng = random.Random(seed)
    lists: dict[int, tuple[int, ...]] = {}
    made, clock, value = [], 0, 0
    for number in range(count):
        operations: list[Append | Read] = []
        for _ in range(rng.randint(1, 4)):
            key = number // 40 + rng.randrange(3)
            if rng.random() < 0.5:
                value += 1
                lists[key] = (*lists.get(key, ()), value)
                operations.append(Append(key, value))
            else:
                operations.append(Read(key, lists.get(key, ())))
        clock += 10
        begin, end = clock - rng.randrange(25), clock + rng.randrange(25)
        made.append(Transaction(f"t{number}", tuple(operations), Outcome.COMMITTED, begin, max(end, begin + 1)))
    return made


@pytest.mark.parametrize("seed", range(5))
def test_serial_histories_are_correct_and_a_stale_read_in_them_is_found(seed: int) -> None:
    transactions = serial(seed)
    assert anomalies(History(transactions)) == []
    victim = next(
        number
        for number, each in enumerate(transactions)
        if number > 200 and isinstance(each.operations[0], Read) and len(each.operations[0].values) > 8
    )
    each = transactions[victim]
    read = each.operations[0]
    assert isinstance(read, Read)
    stale = (Read(read.key, read.values[:1]), *each.operations[1:])
    transactions[victim] = Transaction(each.name, stale, each.outcome, each.begin, each.end)
    found = check(History(transactions), "SERIALIZABLE")
    assert found
    assert any(each.name in finding.description for finding in found)


def test_real_time_edges_are_transitive() -> None:
    """The real-time edges are few, but their paths connect every pair that did not overlap."""
    found = anomalies(
        history("a@0-1: +1.1", *(f"x{n}@{n}-{n + 15}: 9=" for n in range(10, 100)), "b@200-300: 1=", "c: 1=1")
    )
    assert [finding.kind for finding in found] == ["G-single-realtime"]


def test_components() -> None:
    graph = [[1], [2], [0, 3], [4], [3], [5], [0]]
    assert sorted(map(sorted, components(graph))) == [[0, 1, 2], [3, 4]]
