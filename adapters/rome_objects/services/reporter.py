"""The periodic report of a service."""

from __future__ import annotations

import logging
import threading
from typing import Any

from rome_objects.errors import ConstraintViolated, ObjectError, ObjectGone
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

    def run(self, interval: float, stop: threading.Event) -> None:
        """Report every `interval` seconds, until `stop` is set."""
        while not stop.wait(interval):
            self.report()
