"""The options of the cloud's processes, and the objects of their release."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from oslo_config import cfg

GROUP = "fleet"

OPTS = [
    cfg.StrOpt("prefix", default="", help="What the topics of this cloud begin with, on a broker that others use."),
    cfg.FloatOpt("sweep_interval", default=2.0, help="Seconds between two looks for instances that wait."),
    cfg.IntOpt("listen_fd", default=0, help="The socket on which the API process accepts connections."),
]

cfg.CONF.register_opts(OPTS, GROUP)


def topic(name: str) -> str:
    """Return the topic of a kind of services."""
    return f"{cfg.CONF[GROUP].prefix}{name}"


def objects() -> Any:
    """Return the module with the objects of this process's release."""
    return import_module(cfg.CONF.objects.modules[0])
