"""Port a service: run its own database API on ROME.

A ROME engine runs a service's database API unchanged: its models, queries, filters, sort keys and pages. So a discovery
module has no copies of functions. It names the service's module and lists the differences, with reasons:

    PORT = Port("cinder", ["cinder.db.api"], ["main_context_manager"])
    PORT.once("service_create", lambda context, values: (values["host"], values["binary"]), reason="...")
    PORT.again("conditional_update", "service_update", reason="...")
    PORT.install(__name__)

`replaces` and its shortcuts patch the service's module, and `install` makes the name of the discovery module an alias
of it. So the differences apply whether a service finds its API by configuration or has its module hard-coded, and
whether a function is called by other modules or by its own. There are two kinds of differences:

* `once`: a function that must create a row exactly once takes a distributed lock on the row's key and releases it after
  the commit. The lock fences the commit: if its holder is paused for so long that the lock expires and another process
  takes it, the holder's commit fails.
* `again`: transactions of ROME do not wait for each other. Of two that write the same row, the second to commit gets a
  conflict and must be run again. Services retry where MySQL reports a deadlock. Where MySQL would make them wait they
  don't; these functions are listed here.

Neither has an effect in a transaction that the caller has begun (unless the function begins an independent one): only
the caller can run that transaction again, and a lock that is released before the commit protects nothing. Constraints
still hold.
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
"""Retries a function after a conflict, which oslo.db knows as a deadlock."""


class Port:
    """The port of one service's database API to ROME.

    `service` is the name of the service's package. `modules` are the names of the API's module in its releases; the
    first one that exists is used. `managers` are the names of the transaction context in that module, or of a function
    that returns it; without one, oslo.db's global context is used. Raises ServiceMissing if the service is not
    installed.

    `differences` maps the names of the functions that differ to the reasons.
    """

    def __init__(self, service: str, modules: Sequence[str], managers: Sequence[str] = ()) -> None:
        self.service = service
        self.module = _import(service, modules)
        self.differences: dict[str, str] = {}
        self._managers = managers

    @property
    def manager(self) -> Any:
        """The transaction context of the service's API. Raises DiscoveryError if the API has none of that name."""
        if not self._managers:
            return enginefacade.writer
        for name in self._managers:
            manager = getattr(self.module, name, None)
            if manager is not None:
                return manager if hasattr(manager, "writer") else manager()
        raise DiscoveryError(
            f"{self.module.__name__} has no {' or '.join(self._managers)}: this release of {self.service} keeps its "
            "transaction context under another name; add that name to the managers of its Port"
        )

    def manager_for(self, context: Any) -> Any:
        """Return the transaction context of a request. A service with several databases has a function for it."""
        choose = getattr(self.module, "get_context_manager", None)
        return choose(context) if choose else self.manager

    def replaces(self, name: str, reason: str, module: ModuleType | None = None) -> Callable[[Function], None]:
        """Decorate a replacement of the function `name`. It is called with that function and the call's arguments.

        Nothing happens if the service's release has no such function. `module` is the function's module, if that is not
        the API's.
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
        """Run the function `name` under a distributed lock on the key of the row that it creates.

        `key` and `existing` are called with the function's arguments. `key` returns the key; `existing` returns the row
        if it exists by now, else None. It is needed if no constraint keeps the key unique. `independent` means that the
        function begins its own transaction inside the caller's. That transaction can't be fenced from here: the lock
        prevents conflicts but does not guard the commit.
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
                row = existing(*args, **kwargs) if existing else None
                return original(*args, **kwargs) if row is None else row

    def again(self, *names: str, reason: str) -> None:
        """Retry the functions of these names after a conflict."""
        for name in names:
            self.replaces(name, reason)(_run_again)

    def lock(self, context: Any, *name: object) -> Lock:
        """Return the distributed lock of this name in the database of a request, for a `with` statement."""
        engine = self.manager_for(context).writer.get_engine()
        return distributed_lock(engine, ":".join(map(str, (self.service, *name))))

    def install(self, discovery_module: str, binding: Callable[[], None] | None = None) -> None:
        """Bind the service's API to `[discovery] connection`, and alias the discovery module's name to it.

        `binding` is for releases that have no transaction context: it sets up their engine itself.
        """
        cfg.CONF.register_opts(OPTS, GROUP)
        if binding is None:
            bind(self.manager)
        else:
            binding()
        if not hasattr(self.module, "get_backend"):  # oslo.db's DBAPI calls it
            vars(self.module)["get_backend"] = lambda: self.module
        vars(self.module)["rome_port"] = self
        sys.modules[discovery_module] = self.module


def _run_again(original: Function, *args: Any, **kwargs: Any) -> Any:
    """Call `original`, and again after conflicts, with its dict arguments restored: some functions consume them."""
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
    """Return the request's context of a call: services pass it as the first argument."""
    return args[0] if args else kwargs.get("context")


def in_transaction(context: Any) -> bool:
    """Return True if a request is in a transaction of an enginefacade."""
    try:
        return context.transaction_ctx is not None
    except (AttributeError, NoEngineContextEstablished):
        return False


def _import(service: str, names: Sequence[str]) -> ModuleType:
    """Import the first of these modules that exists. Raises ServiceMissing if there is none."""
    for name in names:
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # the module exists, and one of its own imports is missing
    raise ServiceMissing(
        f"the discovery module for {service} is configured, but {service} is not installed here with a database API at "
        f"{' or '.join(names)}: pip install {service}, or correct the option that names the discovery module",
        name=names[-1],
    )
