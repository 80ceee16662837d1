"""The options of `[service]`."""

from __future__ import annotations

import socket

from oslo_config import cfg

SERVICE_GROUP = "service"

DOWN_TIME = 60.0
"""The default of `down_time`."""

OPTS = [
    cfg.StrOpt("topic", help="The topic on which the service accepts calls.", sample_default="compute"),
    cfg.StrOpt("binary", help="The name under which the service reports. The default is the topic."),
    cfg.StrOpt(
        "host",
        default=socket.gethostname(),
        sample_default="node-1",
        help="The name of this host. Calls for a host go to its service.",
    ),
    cfg.StrOpt("release", help="The release of this process, which its row shows.", sample_default="v2"),
    cfg.StrOpt(
        "manager",
        help="The manager: a class as MODULE:CLASS, or a module that defines one.",
        sample_default="fleet.compute.manager",
    ),
    cfg.StrOpt(
        "driver",
        help="The driver of the manager: a class as MODULE:CLASS, or a module that defines one, or has its functions.",
        sample_default="fleet.compute.fake:FakeDriver",
    ),
    cfg.StrOpt("state", default="Service", help="The object in whose rows services report."),
    cfg.FloatOpt("report_interval", default=10.0, min=0.01, help="Seconds between two reports."),
    cfg.FloatOpt(
        "down_time", default=DOWN_TIME, min=0.1, help="A service that has not reported for so many seconds is down."
    ),
]
