"""How other processes call the manager of a service.

compute = ManagerClient(conf, "compute", ComputeManager)
server = compute.call(context, "start", host="node-1", server=server)     # waits for the result
compute.cast(context, "start", host="node-1", server=server)              # does not
compute.call(context, "usage")                                            # on any host
"""

from __future__ import annotations

from typing import Any

import oslo_messaging
from oslo_config import cfg

from rome_objects import process
from rome_objects.errors import NotRemotable, ServiceUnavailable
from rome_objects.messages.calls import Caller
from rome_objects.options import GROUP
from rome_objects.serializer import Serializer
from rome_objects.services.manager import Manager, is_exposed


class ManagerClient:
    """The managers of a topic.

    Arguments, results and exceptions arrive as they are, objects as well. Raise NotRemotable for a method that the
    manager does not declare, ServiceUnavailable if no service answers in time, and BrokerUnavailable.
    """

    def __init__(self, conf: cfg.ConfigOpts, topic: str, manager: type[Manager]) -> None:
        self._manager = manager
        target = oslo_messaging.Target(topic=topic, version=manager.version)
        options = conf[GROUP]
        self._caller = Caller(
            process.make_transport(conf),
            oslo_messaging.TransportURL.parse(conf),
            target,
            options.call_timeout,
            Serializer(),
            ServiceUnavailable,
        )
        self._attempts: int = options.call_attempts

    def call(self, context: Any, method: str, host: str | None = None, **arguments: Any) -> Any:
        """Call a method on a host, or on any, and return its result."""
        safe = getattr(self._declared(method), "safe_to_repeat", False)
        attempts = self._attempts if safe else 1
        return self._caller.call(context, method, arguments, self._name, method, attempts, host)

    def cast(self, context: Any, method: str, host: str | None = None, **arguments: Any) -> None:
        """Send a call without waiting for it."""
        self._declared(method)
        self._caller.cast(context, method, arguments, self._name, host)

    @property
    def _name(self) -> str:
        return self._manager.__name__

    def _declared(self, method: str) -> Any:
        if not is_exposed(self._manager, method):
            raise NotRemotable(objname=self._name, method=method)
        return getattr(self._manager, method)
