"""The measured part of a service: the functions of its database API, and the API on one database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar

from sqlalchemy import Engine, insert

from benchmarks.backends import Backend

_F = TypeVar("_F", bound=Callable[[Any], object])

_BATCH = 5_000


class Api(Protocol):
    """The database API of a service, which uses one database."""

    def __init__(self, url: str, size: int) -> None:
        """Use the database of the URL, which has so many instances, or images."""

    @property
    def engine(self) -> Engine:
        """The engine that the service itself has made."""

    def in_use(self) -> AbstractContextManager[None]:
        """Let the service's functions use this database."""


@dataclass(frozen=True)
class Function:
    """A function of an API, called with arguments as the service has them. `of`: the request that calls it."""

    of: str
    name: str
    call: Callable[[Any], object]
    often: int


class Functions(list[Function]):
    """The functions of a service that are measured."""

    def of(self, request: str, name: str = "", often: int = 10) -> Callable[[_F], _F]:
        """Add the decorated function. `often`: how many times it runs in one measured round."""

        def add(call: _F) -> _F:
            self.append(Function(request, name or call.__name__, call, often))
            return call

        return add


@dataclass(frozen=True)
class Service:
    """A service. `module` has its Api, its FUNCTIONS, and `fill(engine, size)`, which creates and fills its tables."""

    name: str
    package: str
    module: str

    @property
    def missing(self) -> str | None:
        """The reason why this service can't be measured here."""
        return None if find_spec(self.package) else f"{self.package} is not installed: ./scripts/bench --services"

    @property
    def functions(self) -> Functions:
        """The functions that are measured."""
        found: Functions = import_module(self.module).FUNCTIONS
        return found

    def fill(self, engine: Engine, size: int) -> None:
        """Create and fill the service's tables."""
        import_module(self.module).fill(engine, size)

    def api(self, url: str, size: int) -> Api:
        """Return the service's API on a filled database."""
        found: Api = import_module(self.module).Api(url, size)
        return found


SERVICES = [
    Service("Nova", "nova", "benchmarks.services.nova"),
    Service("Glance", "glance", "benchmarks.services.glance"),
]


def usable(backend: Backend) -> bool:
    """Return whether a service can use a database: not through an asynchronous driver, and not in one process only."""
    return not backend.asynchronous and "memory" not in backend.url


def insert_rows(engine: Engine, table: Any, rows: list[dict[str, Any]]) -> None:
    """Insert rows, in transactions of thousands."""
    for first in range(0, len(rows), _BATCH):
        with engine.begin() as connection:
            connection.execute(insert(table), rows[first : first + _BATCH])


def uuid_of(kind: int, number: int) -> str:
    """Return the UUID of the row with this number. `kind`: tells tables apart."""
    return f"{number:08x}-0000-4000-8000-{kind:012x}"
