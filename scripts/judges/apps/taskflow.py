"""taskflow: a flow that fails, is reverted, and is resumed from the database by another engine."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from taskflow import engines, task
from taskflow.patterns import graph_flow, linear_flow
from taskflow.persistence import backends, models

RAN: list[str] = []
BROKEN = [True]


class Add(task.Task):
    """Add two numbers."""

    default_provides = "total"

    def execute(self, x: int, y: int) -> int:
        """Return the sum."""
        RAN.append(f"{self.name} {x}+{y}")
        return x + y

    def revert(self, *args: Any, **kwargs: Any) -> None:
        """Note the reversion."""
        RAN.append(f"reverted {self.name}")


class Check(task.Task):
    """Fail while something is broken."""

    def execute(self, total: int) -> int:
        """Return the sum, negated."""
        if BROKEN[0]:
            raise RuntimeError("broken")
        return -total


def flow() -> Any:
    """Return the flow; the factory of the stored one."""
    adds = graph_flow.Flow("adds").add(
        Add("one", provides="a", rebind=["x", "y"]), Add("two", rebind={"x": "a", "y": "y"})
    )
    return linear_flow.Flow("flow").add(adds, Check("check", provides="negated"))


def run(url: str, folder: Path) -> dict[str, Any]:
    """Return what the engines did, and what the log books contain."""
    seen: dict[str, Any] = {}
    with contextlib.closing(backends.fetch({"connection": url})) as backend:
        with contextlib.closing(backend.get_connection()) as connection:
            connection.upgrade()
        book = models.LogBook("book")
        with contextlib.closing(backend.get_connection()) as connection:
            connection.save_logbook(book)
        engine = engines.load_from_factory(flow, book=book, backend=backend, store={"x": 1, "y": 2})
        try:
            engine.run()
        except RuntimeError as error:
            seen["failed"] = str(error)
        seen["ran"] = list(RAN)
        seen["state"] = states(backend, book.uuid)
        BROKEN[0] = False
        with contextlib.closing(backend.get_connection()) as connection:
            stored = next(iter(connection.get_logbook(book.uuid)))
        again = engines.load_from_detail(stored, backend=backend)
        again.compile()
        again.prepare()
        again.reset()
        again.run()
        seen["resumed"] = {name: again.storage.fetch(name) for name in ("a", "total", "negated")}
        seen["state then"] = states(backend, book.uuid)
        with contextlib.closing(backend.get_connection()) as connection:
            connection.destroy_logbook(book.uuid)
            seen["left"] = len(list(connection.get_logbooks()))
            connection.clear_all()
    return seen


def states(backend: Any, book: str) -> list[Any]:
    """Return the state of the flow and of its tasks."""
    with contextlib.closing(backend.get_connection()) as connection:
        detail = next(iter(connection.get_logbook(book)))
        return [detail.state, sorted((atom.name, atom.state, atom.intention) for atom in detail)]
