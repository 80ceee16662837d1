"""Count the round trips of each function of a service, on the wire: with each driver of a server, and with ROME.

For each database of ROME also its instructions by layer, a file among them, which has no round trips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from benchmarks.backends import Backend, Missing
from benchmarks.delay import Relay, relayed
from benchmarks.layers import layers
from benchmarks.services.functions import SERVICES, Api, Function, Service, usable
from benchmarks.services.place import api_on, filled

_WARM_UP, _TIMES = 3, 4

Row = dict[str, Any]


def round_trips(backends: Sequence[Backend], size: int, note: Callable[[str], None]) -> list[Row]:
    """Return how many round trips each function takes on each server, and its instructions where they are counted."""
    found = []
    counted = [each for each in backends if usable(each) and each.kind in ("server", "rome")]
    for service in (each for each in SERVICES if each.missing is None):
        with filled(service, size) as databases:
            for backend in counted:
                note(f"round trips of {service.name} on {backend.name}")
                try:
                    url = databases.url(backend)
                except Missing:
                    continue  # the page says why
                found += _of(service, backend, url, size)
    return found


def _of(service: Service, backend: Backend, url: str, size: int) -> Iterator[Row]:
    with ExitStack() as stack:
        # A cache's follower asks the store at any time.
        relay = stack.enter_context(relayed(url)) if backend.kind == "server" or backend.url == "valkey" else None
        api = stack.enter_context(api_on(service, size, relay.url if relay else url))
        stack.enter_context(api.in_use())
        for function in service.functions:
            row: Row = {"group": service.name, "case": function.name, "backend": backend.name}
            if relay is not None:
                row["round_trips"] = _count(function, api, relay)
            if backend.kind == "rome":
                row["layers"] = layers(partial(function.call, api))
            yield row


def _count(function: Function, api: Api, relay: Relay) -> float:
    for _ in range(_WARM_UP):
        function.call(api)
    before = relay.round_trips
    for _ in range(_TIMES):
        function.call(api)
    return (relay.round_trips - before) / _TIMES
