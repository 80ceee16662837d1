"""Managers that look periodically for work that a lost message has left."""

from __future__ import annotations

import threading
from typing import Any

from oslo_config import cfg

from examples.fleet.options import GROUP
from examples.fleet.surely import repeat
from rome_objects.services.manager import Manager

CONTEXT = {"user": "fleet"}


class SweepingManager(Manager):
    """A manager whose `sweep` is called periodically, and once at its start."""

    def __init__(self, host: str, driver: Any = None) -> None:
        super().__init__(host, driver)
        self._stop = threading.Event()
        interval = cfg.CONF[GROUP].sweep_interval
        self._thread = threading.Thread(target=repeat, args=(self.sweep, interval, self._stop), daemon=True)

    def start(self) -> None:
        """Begin the sweeps."""
        self._thread.start()

    def stop(self) -> None:
        """End the sweeps."""
        self._stop.set()
        self._thread.join()

    def sweep(self) -> None:
        """Do the work that waits."""
        raise NotImplementedError
