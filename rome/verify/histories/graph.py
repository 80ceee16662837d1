"""Which transaction must come before which: the dependencies of Adya's thesis, and real time.

    ww  the second's append follows the first's in the same list
    wr  the second read what the first appended
    rt  the first was acknowledged before the second began
    rw  the first read a list before the second's append was in it (an anti-dependency)

A cycle of dependencies is an anomaly; which, is said by the kinds that it needs (see `cycles`).
"""

from __future__ import annotations

import enum
import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rome.verify.histories.history import Append, Outcome, Transaction


class EdgeKind(enum.IntFlag):
    """Kinds of dependencies; between two transactions there may be several."""

    WW = 1
    WR = 2
    RT = 4
    RW = 8


Graph = list[dict[int, EdgeKind]]
"""For each transaction, by its number: those that come after it, and why."""


def dependencies(transactions: Sequence[Transaction], order: Mapping[int, tuple[int, ...]]) -> Graph:
    """The graph of transactions that took place, under a version order of each key."""
    graph: Graph = [{} for _ in transactions]
    for first, second, kind in _edges(transactions, order):
        if first != second:
            graph[first][second] = graph[first].get(second, EdgeKind(0)) | kind
    return graph


def _edges(
    transactions: Sequence[Transaction], order: Mapping[int, tuple[int, ...]]
) -> Iterator[tuple[int, int, EdgeKind]]:
    writer = {(append.key, append.value): number for number, each in enumerate(transactions) for append in each.appends}
    # Values of transactions that did not take place are faults of their own; here they are passed over.
    chains = {key: [writer[key, value] for value in values if (key, value) in writer] for key, values in order.items()}
    for chain in chains.values():
        for first, second in itertools.pairwise(chain):
            yield first, second, EdgeKind.WW
    places = {
        (key, value): place
        for key, values in order.items()
        for place, value in enumerate(value for value in values if (key, value) in writer)
    }
    for number, each in enumerate(transactions):
        for key, values in external_reads(each):
            known = [value for value in values if (key, value) in places]
            chain = chains.get(key, [])
            if known:
                yield chain[places[key, known[-1]]], number, EdgeKind.WR
            following = places[key, known[-1]] + 1 if known else 0
            if following < len(chain):
                yield number, chain[following], EdgeKind.RW
    yield from _real_time(transactions)


def external_reads(transaction: Transaction) -> Iterator[tuple[int, tuple[int, ...]]]:
    """(key, values) that a transaction read of others: its own appends are taken off."""
    own: dict[int, int] = {}
    for operation in transaction.operations:
        if isinstance(operation, Append):
            own[operation.key] = own.get(operation.key, 0) + 1
        else:
            values = operation.values
            yield operation.key, values[: len(values) - own.get(operation.key, 0)]


def _real_time(transactions: Sequence[Transaction]) -> Iterator[tuple[int, int, EdgeKind]]:
    """Edges whose paths connect just those that real time puts in order.

    `newest`: the acknowledged ones that no other acknowledged one followed yet; who begins now follows these.
    """
    by_begin = sorted(range(len(transactions)), key=lambda number: transactions[number].begin)
    running: list[tuple[int, int]] = []
    newest: set[int] = set()
    before: dict[int, set[int]] = {}
    for number in by_begin:
        each = transactions[number]
        while running and running[0][0] < each.begin:
            _, ended = heapq.heappop(running)
            newest -= before.pop(ended)
            newest.add(ended)
        before[number] = set(newest)
        for earlier in newest:
            yield earlier, number, EdgeKind.RT
        if each.outcome is Outcome.COMMITTED:
            heapq.heappush(running, (each.end, number))
        else:
            del before[number]


def only(graph: Graph, kinds: EdgeKind) -> list[list[int]]:
    """The graph with just the dependencies of some kinds."""
    return [[second for second, kind in seconds.items() if kind & kinds] for seconds in graph]


def components(successors: Sequence[Iterable[int]]) -> Iterator[list[int]]:
    """The strongly connected components of more than one node (Tarjan's algorithm, without recursion)."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    for root in range(len(successors)):
        if root in index:
            continue
        work = [(root, iter(successors[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, rest = work[-1]
            for following in rest:
                if following not in index:
                    index[following] = low[following] = len(index)
                    stack.append(following)
                    on_stack.add(following)
                    work.append((following, iter(successors[following])))
                    break
                if following in on_stack:
                    low[node] = min(low[node], index[following])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    yield from _component(node, stack, on_stack)


def _component(root: int, stack: list[int], on_stack: set[int]) -> Iterator[list[int]]:
    """Take the component of a root off the stack."""
    found = []
    while True:
        node = stack.pop()
        on_stack.discard(node)
        found.append(node)
        if node == root:
            break
    if len(found) > 1:
        yield found
