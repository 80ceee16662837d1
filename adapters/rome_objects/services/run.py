"""The process of `rome-service`."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg

from rome_objects import process
from rome_objects.errors import ObjectError
from rome_objects.options import register_opts
from rome_objects.services.service import Service

_LONGEST_NAP = 0.5
"""Seconds that the main thread sleeps at once. A signal that another thread receives does not wake it."""


def run(arguments: Sequence[str]) -> int:
    """Run a service until SIGTERM or SIGINT. Return the exit status."""
    conf = cfg.CONF
    register_opts(conf)
    conf(list(arguments), project="rome-service")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _setter(ended))
    try:
        process.set_up(conf)
        service = Service(conf)
        service.start()
    except ObjectError as error:
        print(f"rome-service: {error}", file=sys.stderr)  # noqa: T201
        return 1
    logging.getLogger(__name__).info("service %s on %s accepts calls", service.topic, service.host)
    while not ended.wait(_LONGEST_NAP):
        pass
    service.stop()
    return 0


def _setter(event: threading.Event) -> Any:
    def handle(_number: int, _frame: Any) -> None:
        event.set()

    return handle
