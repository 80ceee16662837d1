"""The graph of dependencies between transactions: those of Adya's thesis, and real time.

    ww  the second appended to a list next after the first
    wr  the second read what the first appended
    rt  the first was acknowledged before the second began
    rw  the first read a list before the second appended to it (an anti-dependency)

    T1: append 10 to x          T1 -ww-> T2     x = [10, 11]
    T2: append 11 to x          T1 -wr-> T3     T3 read 10
    T3: read x = [10]           T3 -rw-> T2     T3 did not read 11, the next value

A cycle of dependencies is an anomaly; its kinds of dependencies decide which one (`cycles`).
"""

from __future__ import annotations

import enum
import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rome.verify.histories.history import Append, Outcome, Transaction


class EdgeKind(enum.IntFlag):
    """Kinds of dependencies. Two transactions may have several."""

    WW = 1
    WR = 2
    RT = 4
    RW = 8


Graph = list[dict[int, EdgeKind]]
"""For each transaction, by number: the transactions that depend on it, with the kinds of dependencies."""


def dependencies(transactions: Sequence[Transaction], order: Mapping[int, tuple[int, ...]]) -> Graph:
    """Return the graph of the applied transactions, given the version order of each key."""
    graph: Graph = [{} for _ in transactions]
    for first, second, kind in _edges(transactions, order):
        if first != second:
            graph[first][second] = graph[first].get(second, EdgeKind(0)) | kind
    return graph


def _edges(
    transactions: Sequence[Transaction], order: Mapping[int, tuple[int, ...]]
) -> Iterator[tuple[int, int, EdgeKind]]:
    writer = {(append.key, append.value): number for number, each in enumerate(transactions) for append in each.appends}
    # Values of transactions that were not applied are reported elsewhere; skip them.
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
    yield from _sessions(transactions)


def external_reads(transaction: Transaction) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield (key, values) for each read, without the values that the transaction itself appended."""
    own: dict[int, int] = {}
    for operation in transaction.operations:
        if isinstance(operation, Append):
            own[operation.key] = own.get(operation.key, 0) + 1
        else:
            values = operation.values
            yield operation.key, values[: len(values) - own.get(operation.key, 0)]


def _real_time(transactions: Sequence[Transaction]) -> Iterator[tuple[int, int, EdgeKind]]:
    """Yield edges whose paths connect exactly the pairs of transactions that did not overlap in time.

    `newest` has the acknowledged transactions that no other acknowledged transaction has followed yet. A transaction
    that begins now follows these directly, and earlier ones through them.
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


def _sessions(transactions: Sequence[Transaction]) -> Iterator[tuple[int, int, EdgeKind]]:
    """Yield an edge to each transaction from the one that its client has committed last."""
    last: dict[str, int] = {}
    for number, each in enumerate(transactions):
        if each.client in last:
            yield last[each.client], number, EdgeKind.RT
        if each.client and each.outcome is Outcome.COMMITTED:
            last[each.client] = number


def only(graph: Graph, kinds: EdgeKind) -> list[list[int]]:
    """Return the successors of each node by dependencies of some kinds."""
    return [[second for second, kind in seconds.items() if kind & kinds] for seconds in graph]


def components(successors: Sequence[Iterable[int]]) -> Iterator[list[int]]:
    """Yield the strongly connected components of more than one node (Tarjan's algorithm, without recursion)."""
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
    """Pop the component of a root off the stack; yield it if it has more than one node."""
    component = []
    while True:
        node = stack.pop()
        on_stack.discard(node)
        component.append(node)
        if node == root:
            break
    if len(component) > 1:
        yield component
