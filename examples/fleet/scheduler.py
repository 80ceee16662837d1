"""The scheduler: it chooses a host for each instance."""

from __future__ import annotations

import contextlib
from typing import Any

from oslo_config import cfg

from examples.fleet.compute import ComputeManager
from examples.fleet.options import objects, topic
from examples.fleet.services import ServiceList
from examples.fleet.surely import surely
from examples.fleet.sweeper import CONTEXT, SweepingManager
from rome_objects.errors import NotFound, StateConflict
from rome_objects.services.client import ManagerClient
from rome_objects.services.manager import exposed


class SchedulerManager(SweepingManager):
    """Gives each requested instance to the host that has the fewest."""

    def __init__(self, host: str, driver: Any = None) -> None:
        super().__init__(host, driver)
        self._compute = ManagerClient(cfg.CONF, topic("compute"), ComputeManager)

    @exposed
    def place(self, context: Any, instance: Any) -> None:
        """Choose a host, and let it build the instance."""
        host = self._choose()
        if host is None:
            return  # the sweep tries again
        with contextlib.suppress(StateConflict, NotFound):  # another call was faster, or it was deleted
            surely(
                lambda: instance.advance("requested", "scheduled", host=host),
                lambda: type(instance).get(context, instance.uuid).state != "requested",
            )
            self._compute.cast(context, "build", host=host, instance=type(instance).get(context, instance.uuid))

    def sweep(self) -> None:
        """Place the instances whose message was lost."""
        for instance in objects().InstanceList.list(CONTEXT, filters={"state": "requested"}, limit=20):
            self.place(CONTEXT, instance)

    def _choose(self) -> str | None:
        services = ServiceList.list(CONTEXT, filters={"binary": topic("compute")})
        up = [service.host for service in services if service.is_up(cfg.CONF.service.down_time)]
        counts = {host: objects().InstanceList.count(CONTEXT, {"host": host}) for host in up}
        return min(counts, key=lambda host: (counts[host], host), default=None)
