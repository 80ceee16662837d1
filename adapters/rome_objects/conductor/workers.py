"""The worker processes of `rome-conductor`."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any

import cotyledon
from oslo_config import cfg

from rome_objects import process
from rome_objects.conductor.service import make_server
from rome_objects.errors import NotConfigured
from rome_objects.options import GROUP, register_opts
from rome_objects.services.options import SERVICE_GROUP
from rome_objects.services.reporter import Reporter, reporter_of


class Worker(cotyledon.Service):
    """A process that runs calls."""

    name = "rome-conductor"

    def __init__(self, worker_id: Any, conf: cfg.ConfigOpts) -> None:
        super().__init__(worker_id)
        self._conf = conf
        self._server: Any = None
        self._reporter: Reporter | None = None

    def run(self) -> None:
        """Accept calls. Connections are opened here, after the fork.

        With `[service] release`, the workers report as one service, so that an old conductor prevents a contraction.
        """
        process.set_up(self._conf)
        name = f"{socket.gethostname()}-{os.getpid()}"
        self._server = make_server(self._conf, process.make_transport(self._conf), name)
        self._server.start()
        options = self._conf[SERVICE_GROUP]
        if options.release:
            self._reporter = reporter_of(self._conf, self.name, self._conf[GROUP].topic)
            self._reporter.begin(options.report_interval)
        logging.getLogger(__name__).info("conductor %s accepts calls on topic %s", name, self._conf[GROUP].topic)

    def terminate(self) -> None:
        """Accept no more calls, and finish those that have begun."""
        if self._server is not None:
            self._server.stop()
            self._server.wait()
        if self._reporter is not None:
            self._reporter.end()


def run(arguments: Sequence[str]) -> int:
    """Run conductors until SIGTERM. Return the exit status."""
    conf = cfg.CONF
    register_opts(conf)
    conf(list(arguments), project="rome-conductor")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s")
    conf.set_override("direct", True, GROUP)
    try:
        _check(conf)
    except NotConfigured as error:
        print(f"rome-conductor: {error}", file=sys.stderr)  # noqa: T201
        return 1
    manager = cotyledon.ServiceManager()
    manager.add(Worker, workers=conf[GROUP].workers, args=(conf,))
    manager.run()
    return 0


def _check(conf: cfg.ConfigOpts) -> None:
    """Raise NotConfigured if a conductor could not do anything."""
    if not conf.database.connection:
        raise NotConfigured(reason="set [database] connection to the database of the objects")
    if not conf[GROUP].modules:
        raise NotConfigured(reason="set [objects] modules to the modules that define the objects")
