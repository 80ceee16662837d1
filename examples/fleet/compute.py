"""A compute service: it builds the instances of its host."""

from __future__ import annotations

import abc
import contextlib
import threading
import time
from typing import Any

from examples.fleet.options import objects
from examples.fleet.surely import surely
from examples.fleet.sweeper import CONTEXT, SweepingManager
from rome_objects.errors import NotFound, StateConflict
from rome_objects.services.manager import exposed


class Driver(abc.ABC):
    """The part of a compute process that makes virtual machines."""

    @abc.abstractmethod
    def spawn(self, uuid: str) -> None:
        """Make a virtual machine, unless it exists."""


class FakeDriver(Driver):
    """Machines that are names in a set."""

    def __init__(self) -> None:
        self.machines: set[str] = set()

    def spawn(self, uuid: str) -> None:
        """Make a virtual machine, unless it exists."""
        time.sleep(0.05)
        self.machines.add(uuid)


class ComputeManager(SweepingManager):
    """Builds instances. A build that was interrupted goes on when the service starts again."""

    driver_base = Driver

    def __init__(self, host: str, driver: Any = None) -> None:
        super().__init__(host, driver)
        self._lock = threading.Lock()
        self._building: set[str] = set()

    @exposed
    def build(self, context: Any, instance: Any) -> None:
        """Build an instance, from the state in which it is."""
        if not self._begin(instance.uuid):
            return
        try:
            with contextlib.suppress(StateConflict, NotFound):  # it was deleted meanwhile
                self._build(context, instance)
        finally:
            with self._lock:
                self._building.discard(instance.uuid)

    def sweep(self) -> None:
        """Build the instances whose message was lost, or whose build was interrupted."""
        waiting = {"host": self.host, "state": ["scheduled", "building"]}
        for instance in objects().InstanceList.list(CONTEXT, filters=waiting, limit=20):
            self.build(CONTEXT, instance)

    def _begin(self, uuid: str) -> bool:
        """Return whether no other thread builds the instance."""
        with self._lock:
            if uuid in self._building:
                return False
            self._building.add(uuid)
            return True

    def _build(self, context: Any, instance: Any) -> None:
        if instance.state == "scheduled":
            self._advance(context, instance, "scheduled", "building")
        self.driver.spawn(instance.uuid)
        self._advance(context, instance, "building", "active")

    def _advance(self, context: Any, instance: Any, before: str, after: str) -> None:
        surely(
            lambda: instance.advance(before, after),
            lambda: type(instance).get(context, instance.uuid).state != before,
        )
