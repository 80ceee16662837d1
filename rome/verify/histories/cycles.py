"""Find cycles of dependencies and classify them.

    G0               ww only: write cycle
    G1c              ww and wr: circular information flow
    G-single         one rw: read skew, lost update. Forbidden by snapshot isolation
    G-nonadjacent    several rw, no two of them adjacent: forbidden by snapshot isolation, too
    G2               two adjacent rw: write skew. Only SERIALIZABLE forbids it

A name that ends in `-realtime` needs an rt dependency: there is an order of the transactions, but not one that is
consistent with real time.

    T1 -rw-> T2 -rw-> T1     G2, write skew: each read what the other one wrote, before it was written

The strongly connected components of the whole graph are found in linear time; without them there is no cycle. Snapshot
isolation is decided by another graph, whose edges are "one dependency, then possibly one rw" (Cerone and Gotsman): it
has a cycle exactly if there is one without two adjacent rw. Single cycles are only searched within a component, to
have an example to print.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from rome.verify.histories.graph import EdgeKind, Graph, components, only
from rome.verify.histories.history import Append, Finding, Transaction

_STARTS = 60
"""Transactions of a component from which a shortest cycle is searched."""

_FORWARD = EdgeKind.WW | EdgeKind.WR
_STRENGTH = (EdgeKind.WW, EdgeKind.WR, EdgeKind.RT, EdgeKind.RW)

Cycle = list[int]
"""Transactions, each with an edge to the next one, and the last one to the first."""


def cycle_anomalies(transactions: Sequence[Transaction], graph: Graph) -> Iterator[Finding]:
    """Yield one cycle of each kind for each strongly connected component."""
    reported: set[tuple[str, frozenset[int]]] = set()
    covered: set[tuple[str, int]] = set()
    for kinds, search in _SEARCHES:
        for component in components(_steps(graph, kinds, search)):
            cycle = search(graph, kinds, component)
            if cycle is None:
                continue
            name = classify(graph, cycle, kinds)
            key = name, frozenset(cycle)
            if key in reported or any((name.removesuffix("-realtime"), node) in covered for node in cycle):
                continue
            reported.add(key)
            covered.update((name, node) for node in component)
            yield Finding(name, _describe(transactions, graph, cycle, kinds))


def classify(graph: Graph, cycle: Cycle, kinds: EdgeKind) -> str:
    """Return the name of a cycle, using only dependencies of some kinds."""
    steps = [_strongest(graph[first][second], kinds) for first, second in _around(cycle)]
    rws = [step is EdgeKind.RW for step in steps]
    suffix = "-realtime" if EdgeKind.RT in steps else ""
    if not any(rws):
        return ("G1c" if EdgeKind.WR in steps else "G0") + suffix
    if sum(rws) == 1:
        return "G-single" + suffix
    adjacent = any(first and second for first, second in zip(rws, rws[1:] + rws[:1], strict=True))
    return ("G2" if adjacent else "G-nonadjacent") + suffix


def _any_cycle(graph: Graph, kinds: EdgeKind, component: Sequence[int]) -> Cycle | None:
    """Return a short cycle in a component."""
    members = set(component)

    def following(node: int, _: bool) -> Iterator[tuple[int, bool]]:
        for second, kind in graph[node].items():
            if kind & kinds and second in members:
                yield second, False

    return _shortest(component, following)


def _snapshot_cycle(graph: Graph, kinds: EdgeKind, component: Sequence[int]) -> Cycle | None:
    """Return a short cycle without two adjacent rw. (Its nodes after an rw need not be in the component.)"""

    def following(node: int, after_rw: bool) -> Iterator[tuple[int, bool]]:
        for second, kind in graph[node].items():
            if kind & kinds & ~EdgeKind.RW:
                yield second, False
            elif kind & EdgeKind.RW and not after_rw:
                yield second, True

    return _shortest(component, following)


Search = Callable[[Graph, EdgeKind, Sequence[int]], Cycle | None]

_SEARCHES: tuple[tuple[EdgeKind, Search], ...] = (
    (EdgeKind.WW, _any_cycle),
    (_FORWARD, _any_cycle),
    (_FORWARD | EdgeKind.RW, _snapshot_cycle),
    (EdgeKind.WW | EdgeKind.RT, _any_cycle),
    (_FORWARD | EdgeKind.RT, _any_cycle),
    (_FORWARD | EdgeKind.RW | EdgeKind.RT, _snapshot_cycle),
    (_FORWARD | EdgeKind.RW, _any_cycle),
    (_FORWARD | EdgeKind.RW | EdgeKind.RT, _any_cycle),
)


def _steps(graph: Graph, kinds: EdgeKind, search: Search) -> list[list[int]]:
    """Return the graph in whose components a search looks for cycles."""
    if search is _any_cycle:
        return only(graph, kinds)
    forward = only(graph, kinds & ~EdgeKind.RW)
    backward = only(graph, EdgeKind.RW)
    # An edge is one dependency, then possibly one rw; the node between them is skipped.
    return [[*seconds, *(third for second in seconds for third in backward[second])] for seconds in forward]


def _shortest(starts: Sequence[int], following: Callable[[int, bool], Iterator[tuple[int, bool]]]) -> Cycle | None:
    """Return the shortest cycle through one of the first starts, by breadth-first search.

    The state of the search is a node and whether it was reached by rw.
    """
    best: Cycle | None = None
    for start in islice(starts, _STARTS):
        origin = start, True  # as if reached by rw, so that the last edge and the first are not both rw
        came_from: dict[tuple[int, bool], tuple[int, bool]] = {}
        queue = deque([(origin, 1)])
        while queue:
            state, length = queue.popleft()
            if best is not None and length >= len(best):
                break
            found = False
            for reached in following(*state):
                if reached[0] == start:
                    best, found = _path(came_from, state, origin), True
                    break
                if reached not in came_from:
                    came_from[reached] = state
                    queue.append((reached, length + 1))
            if found:
                break
    return best


def _path(
    came_from: dict[tuple[int, bool], tuple[int, bool]], state: tuple[int, bool], origin: tuple[int, bool]
) -> Cycle:
    path = [state[0]]
    while state != origin:
        state = came_from[state]
        path.append(state[0])
    return path[::-1]


def _around(cycle: Cycle) -> Iterator[tuple[int, int]]:
    return zip(cycle, cycle[1:] + cycle[:1], strict=True)


def _strongest(kind: EdgeKind, kinds: EdgeKind) -> EdgeKind:
    """Return the dependency between two transactions that gives the cycle the strongest name."""
    return next(each for each in _STRENGTH if kind & kinds & each)


def _describe(transactions: Sequence[Transaction], graph: Graph, cycle: Cycle, kinds: EdgeKind) -> str:
    steps = [
        f"{transactions[first].name} -{(_strongest(graph[first][second], kinds).name or '').lower()}-> "
        for first, second in _around(cycle)
    ]
    lines = ["".join(steps) + transactions[cycle[0]].name]
    lines += [f"    {transactions[node].name}: {_operations(transactions[node])}" for node in cycle[:6]]
    return "\n".join(lines)


def _operations(transaction: Transaction) -> str:
    parts = []
    for operation in transaction.operations:
        if isinstance(operation, Append):
            parts.append(f"append {operation.value} to {operation.key}")
        else:
            dots = "… " if len(operation.values) > 4 else ""
            parts.append(f"read {operation.key} = {dots}{list(operation.values[-4:])}")
    return ", ".join(parts)
