"""A manager: the business logic of a service. Its declared methods are what other processes may call.

    class ComputeManager(Manager):
        version = "1.1"

        @exposed
        def start(self, context, server):
            self.driver.power_on(server.name)
            server.save()
            return server

A method that is not declared can't be called by RPC, whatever its name is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import oslo_messaging
from oslo_messaging.rpc import RPCAccessPolicyBase

_F = TypeVar("_F", bound=Callable[..., Any])


class Manager:
    """The logic of a service on one host. `driver` is what executes: an object or a module; None without one."""

    version: ClassVar[str] = "1.0"
    """The version of the interface. Increment the second number with a new method or optional argument."""

    driver_base: ClassVar[type] = object
    """The class of its drivers: they derive from it, or have its abstract methods."""

    def __init__(self, host: str, driver: Any = None) -> None:
        self.host = host
        self.driver = driver
        self.target = oslo_messaging.Target(version=self.version)

    def start(self) -> None:
        """Prepare, before the first call arrives."""

    def stop(self) -> None:
        """Clean up, after the last call has ended."""


def exposed(function: _F) -> _F:
    """Declare a method of a manager a part of its RPC interface. The first argument is the context."""
    function.exposed = True  # type: ignore[attr-defined]
    return function


def is_exposed(manager: Any, method: str) -> bool:
    """Return whether a manager, or its class, declares this method."""
    return bool(getattr(getattr(manager, method, None), "exposed", False))


class DeclaredMethods(RPCAccessPolicyBase):  # type: ignore[misc]
    """Admits calls of declared methods only."""

    def is_allowed(self, endpoint: Any, method: str) -> bool:
        """Return whether other processes may call a method."""
        return is_exposed(endpoint, method)
