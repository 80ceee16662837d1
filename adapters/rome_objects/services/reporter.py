"""The periodic report of a service."""

from __future__ import annotations

import logging
import threading
from typing import Any

from oslo_config import cfg

from rome_objects import registry
from rome_objects.errors import ConstraintViolated, NotConfigured, ObjectError, ObjectGone
from rome_objects.services.options import SERVICE_GROUP
from rome_objects.services.state import ServiceState

_LOG = logging.getLogger(__name__)


class Reporter:
    """Registers a service, and reports for it.

    `count` is the number of its reports, those of earlier runs included. A report that fails is logged; the next one
    has the next number.
    """

    def __init__(self, state: type[ServiceState], context: Any, **identity: Any) -> None:
        """Report in rows of the class `state`. `identity` are the arguments of its `register`."""
        self._state = state
        self._context = context
        self._identity = identity
        self._service: ServiceState | None = None
        self._is_failing = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.count = 0

    def register(self) -> ServiceState:
        """Return the row of the service, which is made if necessary. Raise ObjectError."""
        try:
            service = self._state.register(self._context, **self._identity)
        except ConstraintViolated:  # the same service was started twice at this moment
            service = self._state.register(self._context, **self._identity)
        self._service = service
        self.count = max(self.count, service.report_count)
        return service

    def report(self) -> bool:
        """Report once. Return whether the report was written."""
        try:
            service = self._service or self.register()
            self.count += 1
            try:
                service.report(self.count)
            except ObjectGone:
                self.register().report(self.count)
        except ObjectError as error:
            if not self._is_failing:
                _LOG.error("the state report failed, and is tried again: %s", error)
            self._is_failing = True
            return False
        if self._is_failing:
            _LOG.info("the state report succeeds again")
        self._is_failing = False
        return True

    def begin(self, interval: float) -> None:
        """Report now, and every `interval` seconds until `end`."""
        self.report()
        self._thread = threading.Thread(target=self._run, args=(interval,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the reports."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, interval: float) -> None:
        while not self._stop.wait(interval):
            self.report()


def reporter_of(conf: cfg.ConfigOpts, binary: str, topic: str) -> Reporter:
    """Return the reporter of this process. Raise NotConfigured if no object of that name has the rows of services."""
    options = conf[SERVICE_GROUP]
    identity = {"host": options.host, "binary": binary, "topic": topic, "release": options.release}
    return Reporter(_state(options.state), {"service": binary, "host": options.host}, **identity)


def _state(name: str) -> type[ServiceState]:
    """Return the class of the objects in which services report."""
    for found in registry.known(name):
        if issubclass(found, ServiceState):
            return found
    raise NotConfigured(
        reason=f"[service] state = {name} is no object that derives from ServiceState: name its module in [objects] "
        "modules"
    )
