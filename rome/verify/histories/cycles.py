"""Cycles of dependencies, told apart by what they are made of.

    G0               ww only: two transactions wrote through each other
    G1c              ww and wr: each knew of the other
    G-single         one rw: read skew, lost update. Forbidden by snapshot isolation
    G-nonadjacent    several rw, but never two in a row: forbidden by snapshot isolation too
    G2               two rw in a row: write skew. Only SERIALIZABLE forbids it

A name that ends in `-realtime` needs an rt dependency: the order is possible, but not the one in which clients saw
things happen.

Whether there is a cycle at all is decided for the whole history in linear time; snapshot isolation by the graph whose
steps are "a dependency, then perhaps one rw" (Cerone and Gotsman): it has a cycle just if there is one in which no two
rw stand in a row. Only where that says yes are cycles looked for, to have something to show.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from rome.verify.histories.graph import EdgeKind, Graph, components, only
from rome.verify.histories.history import Append, Finding, Transaction

_STARTS = 60
"""Transactions of a component from which a shortest cycle is looked for."""

_FORWARD = EdgeKind.WW | EdgeKind.WR
_STRENGTH = (EdgeKind.WW, EdgeKind.WR, EdgeKind.RT, EdgeKind.RW)

Cycle = list[int]
"""Transactions, each before the next, and the last before the first."""


def cycle_faults(transactions: Sequence[Transaction], graph: Graph) -> Iterator[Finding]:
    """The cycles: one of each kind for each knot of transactions that depend on each other in a circle."""
    reported: set[tuple[str, frozenset[int]]] = set()
    knots: set[tuple[str, int]] = set()
    for kinds, search in _SEARCHES:
        for knot in components(_steps(graph, kinds, search)):
            cycle = search(graph, kinds, knot)
            if cycle is None:
                continue
            name = classify(graph, cycle, kinds)
            key = name, frozenset(cycle)
            if key in reported or any((name.removesuffix("-realtime"), node) in knots for node in cycle):
                continue
            reported.add(key)
            knots.update((name, node) for node in knot)
            yield Finding(name, _story(transactions, graph, cycle, kinds))


def classify(graph: Graph, cycle: Cycle, kinds: EdgeKind) -> str:
    """The name of a cycle, given the kinds that may be used."""
    steps = [_strongest(graph[first][second], kinds) for first, second in _around(cycle)]
    rws = [step is EdgeKind.RW for step in steps]
    suffix = "-realtime" if EdgeKind.RT in steps else ""
    if not any(rws):
        return ("G1c" if EdgeKind.WR in steps else "G0") + suffix
    if sum(rws) == 1:
        return "G-single" + suffix
    adjacent = any(first and second for first, second in zip(rws, rws[1:] + rws[:1], strict=True))
    return ("G2" if adjacent else "G-nonadjacent") + suffix


def _any_cycle(graph: Graph, kinds: EdgeKind, knot: Sequence[int]) -> Cycle | None:
    """A short cycle in a knot."""
    members = set(knot)

    def following(node: int, _: bool) -> Iterator[tuple[int, bool]]:
        for second, kind in graph[node].items():
            if kind & kinds and second in members:
                yield second, False

    return _shortest(knot, following)


def _snapshot_cycle(graph: Graph, kinds: EdgeKind, knot: Sequence[int]) -> Cycle | None:
    """A short cycle in a knot in which no two rw stand in a row. (The nodes between are not of the knot itself.)"""

    def following(node: int, after_rw: bool) -> Iterator[tuple[int, bool]]:
        for second, kind in graph[node].items():
            if kind & kinds & ~EdgeKind.RW:
                yield second, False
            elif kind & EdgeKind.RW and not after_rw:
                yield second, True

    return _shortest(knot, following)


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
    """The graph whose knots a search is for."""
    if search is _any_cycle:
        return only(graph, kinds)
    forward = only(graph, kinds & ~EdgeKind.RW)
    backward = only(graph, EdgeKind.RW)
    # From a node after an rw, the rw itself is passed over: a step is a dependency and then perhaps one rw.
    return [[*seconds, *(third for second in seconds for third in backward[second])] for seconds in forward]


def _shortest(starts: Sequence[int], following: Callable[[int, bool], Iterator[tuple[int, bool]]]) -> Cycle | None:
    """The shortest of the cycles through some of the starts. A walk's state is its node, and whether it came by rw."""
    best: Cycle | None = None
    for start in islice(starts, _STARTS):
        origin = start, True  # as if it came by rw, so that the last step and the first are not both rw
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
    """Of several dependencies between two transactions, the one that makes the cycle the worst."""
    return next(each for each in _STRENGTH if kind & kinds & each)


def _story(transactions: Sequence[Transaction], graph: Graph, cycle: Cycle, kinds: EdgeKind) -> str:
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
