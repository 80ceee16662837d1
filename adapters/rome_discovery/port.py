"""Porting a service: its own database API, on ROME.

A ROME engine runs a service's database API as it is: its models, queries, filters, sort keys and pages. So a discovery
module holds no copies of functions. It names the service's module, and states what has to differ and why:

    PORT = Port("cinder", ["cinder.db.api"], ["main_context_manager"])
    PORT.once("service_create", lambda context, values: (values["host"], values["binary"]), reason="...")
    PORT.again("conditional_update", "service_update", reason="...")
    PORT.install(__name__)

`install` makes the differences in the service's module, and lets the name of the discovery module stand for it. Then
it is all the same whether a service finds its API by configuration or has its module hard-coded, and whether a
function is called from outside or by its neighbours. There are two kinds of differences:

* `once`: what must happen once, at however many places it is begun at the same time, takes the distributed lock for
  that thing, and releases it when it has committed. The lock guards the commit: if its holder was paused for so long
  that another took it, nothing is committed.
* `again`: ROME's transactions do not wait for each other; the second to commit of two that write one row is refused,
  and must be run again. Services do so where MySQL would report a deadlock. Where it would have made them wait, they
  don't: these functions are named here.

Neither does anything within a transaction that the caller has begun (unless the function begins an independent one):
only the caller can run that again, and a lock that is released before the commit guards nothing. Constraints hold all
the same.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from oslo_config import cfg
from oslo_db.api import wrap_db_retry
from oslo_db.exception import NoEngineContextEstablished
from oslo_db.sqlalchemy import enginefacade

from rome.locks import Lock
from rome_discovery.binding import bind
from rome_discovery.errors import DiscoveryError, ServiceMissing
from rome_discovery.locking import distributed_lock
from rome_discovery.options import GROUP, OPTS

Function = Callable[..., Any]

_retry = wrap_db_retry(retry_on_deadlock=True, max_retries=20, retry_interval=0.005, max_retry_interval=0.5)
"""What runs a function again after a conflict, which to oslo.db is a deadlock."""


class Port:
    """The port of one service's database API to ROME.

    `service` is what pip calls the service. `modules` are the names under which its releases have the API, the first
    that exists is taken. `managers` are the names of the transaction context in it, or of the function that answers
    it; without one, it is oslo.db's global one. Raises ServiceMissing where the service is not installed.

    `differences` has the names of the functions that differ, and the reasons.
    """

    def __init__(self, service: str, modules: Sequence[str], managers: Sequence[str] = ()) -> None:
        self.service = service
        self.module = _import(service, modules)
        self.differences: dict[str, str] = {}
        self._managers = managers

    @property
    def manager(self) -> Any:
        """The transaction context of the service's API. Raises DiscoveryError if it has none of that name."""
        if not self._managers:
            return enginefacade.writer
        for name in self._managers:
            manager = getattr(self.module, name, None)
            if manager is not None:
                return manager if hasattr(manager, "writer") else manager()
        raise DiscoveryError(
            f"{self.module.__name__} has no {' or '.join(self._managers)}: this release of {self.service} keeps its "
            "transaction context under another name, which its Port has to be told"
        )

    def manager_for(self, context: Any) -> Any:
        """The transaction context that a request uses: services with several databases have a choice of their own."""
        choose = getattr(self.module, "get_context_manager", None)
        return choose(context) if choose else self.manager

    def replaces(self, name: str, reason: str, module: ModuleType | None = None) -> Callable[[Function], None]:
        """Decorate what stands for the function `name`: it gets that function, then the arguments of the call.

        Where the service's release has no such function, nothing happens. `module` is where it is, if it is in another
        module than the API.
        """
        where = module or self.module

        def decorate(replacement: Function) -> None:
            original = getattr(where, name, None)
            if original is None:
                return

            @functools.wraps(original)
            def run(*args: Any, **kwargs: Any) -> Any:
                return replacement(original, *args, **kwargs)

            setattr(where, name, run)
            self.differences[name] = reason

        return decorate

    def once(
        self, name: str, key: Function, reason: str, existing: Function | None = None, independent: bool = False
    ) -> None:
        """Let the function `name` run under the distributed lock for the thing that it makes.

        `key` and `existing` are called as it is. `key` answers what tells the thing from others; `existing` looks
        whether it is there by now, and answers it, or None. It is for things that no constraint keeps unique.
        `independent` says that the function begins a transaction of its own within the caller's. That one is out of
        reach here, so the lock spares it conflicts, but does not guard its commit.
        """

        @self.replaces(name, reason)
        def create(original: Function, *args: Any, **kwargs: Any) -> Any:
            context = _context(args, kwargs)
            if independent:
                with self.lock(context, name, *key(*args, **kwargs)):
                    return original(*args, **kwargs)
            if in_transaction(context):
                return original(*args, **kwargs)
            lock = self.lock(context, name, *key(*args, **kwargs))
            with lock, self.manager_for(context).writer.using(context) as session:
                session.connection().connection.driver_connection.fence(lock)
                there = existing(*args, **kwargs) if existing else None
                return original(*args, **kwargs) if there is None else there

    def again(self, *names: str, reason: str) -> None:
        """Let the functions of these names be run again after a conflict."""
        for name in names:
            self.replaces(name, reason)(_run_again)

    def lock(self, context: Any, *name: object) -> Lock:
        """The distributed lock of this name in the database that a request uses, to be used in a `with` statement."""
        engine = self.manager_for(context).writer.get_engine()
        return distributed_lock(engine, ":".join(map(str, (self.service, *name))))

    def install(self, discovery_module: str, binding: Callable[[], None] | None = None) -> None:
        """Bind the service's API to `[discovery] connection`, and let the discovery module's name stand for it.

        `binding` is for releases that have no transaction context: it sees itself to what engine they use.
        """
        cfg.CONF.register_opts(OPTS, GROUP)
        if binding is None:
            bind(self.manager)
        else:
            binding()
        if not hasattr(self.module, "get_backend"):  # which oslo.db's DBAPI asks for
            vars(self.module)["get_backend"] = lambda: self.module
        vars(self.module)["rome_port"] = self
        sys.modules[discovery_module] = self.module


def _run_again(original: Function, *args: Any, **kwargs: Any) -> Any:
    """Call `original`, again after conflicts; its dicts are what they were, since functions take out what is done."""
    if in_transaction(_context(args, kwargs)):
        return original(*args, **kwargs)
    dicts = [(value, dict(value)) for value in (*args, *kwargs.values()) if type(value) is dict]

    def attempt() -> Any:
        for value, before in dicts:
            value.clear()
            value.update(before)
        return original(*args, **kwargs)

    return _retry(attempt)()


def _context(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The request's context among the arguments of a call: the first, as services have it."""
    return args[0] if args else kwargs.get("context")


def in_transaction(context: Any) -> bool:
    """Whether a request is within a transaction of an enginefacade."""
    try:
        return context.transaction_ctx is not None
    except (AttributeError, NoEngineContextEstablished):
        return False


def _import(service: str, names: Sequence[str]) -> ModuleType:
    """The first of these modules that exists. Raises ServiceMissing."""
    for name in names:
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # the module is there, and something that it needs is not
    raise ServiceMissing(
        f"the discovery module for {service} is configured, but {service} is not installed here with a database API at "
        f"{' or '.join(names)}: pip install {service}, or correct the option that names the discovery module",
        name=names[-1],
    )
