"""A service: an RPC server that runs a manager's methods, and a reporter."""

from __future__ import annotations

from typing import Any

import oslo_messaging
from oslo_config import cfg

from rome_objects import process
from rome_objects.errors import NotConfigured
from rome_objects.places import load_class
from rome_objects.serializer import Serializer
from rome_objects.services.drivers import load_driver
from rome_objects.services.manager import DeclaredMethods, Manager
from rome_objects.services.options import SERVICE_GROUP
from rome_objects.services.reporter import reporter_of


class Service:
    """A service of this process. `[service]` says what it is; see `rome_objects.services.options`."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        options = conf[SERVICE_GROUP]
        self.host: str = options.host
        self.topic: str = _required(options, "topic")
        kind: type[Manager] = load_class("[service] manager", _required(options, "manager"), Manager)
        driver = load_driver("[service] driver", options.driver, kind.driver_base) if options.driver else None
        self.manager = kind(self.host, driver)
        self._interval: float = options.report_interval
        self.reporter = reporter_of(conf, options.binary or self.topic, self.topic)
        self._server = oslo_messaging.get_rpc_server(
            process.make_transport(conf),
            oslo_messaging.Target(topic=self.topic, server=self.host),
            [self.manager],
            executor="threading",
            serializer=Serializer(),
            access_policy=DeclaredMethods,
        )

    def start(self) -> None:
        """Register, accept calls, and report from now on."""
        self.reporter.register()
        self.manager.start()
        self._server.start()
        self.reporter.begin(self._interval)

    def stop(self) -> None:
        """Accept no more calls, finish those that have begun, and end the reports."""
        self._server.stop()
        self._server.wait()
        self.reporter.end()
        self.manager.stop()


def _required(options: Any, name: str) -> str:
    value: str | None = options[name]
    if not value:
        raise NotConfigured(reason=f"set [service] {name}")
    return value
