"""The options of `[objects]`, `[schema]`, `[service]` and `[upgrade_levels]`."""

from __future__ import annotations

from oslo_config import cfg
from oslo_db.options import database_opts

from rome_objects.services.options import OPTS as SERVICE_OPTS
from rome_objects.services.options import SERVICE_GROUP

GROUP = "objects"

OPTS = [
    cfg.BoolOpt(
        "direct",
        default=True,
        help="Run the methods of objects in this process, on [database] connection. If it is false, a conductor runs "
        "them, and this process needs no database.",
    ),
    cfg.StrOpt("topic", default="conductor", help="The topic of the conductors."),
    cfg.FloatOpt("call_timeout", default=60.0, min=0.1, help="Seconds to wait for a conductor's answer."),
    cfg.IntOpt(
        "call_attempts",
        default=3,
        min=1,
        help="How often a call that changes nothing is made if no conductor answers in time. Others are made once.",
    ),
    cfg.ListOpt(
        "implementation",
        default=[],
        help="What replaces the objects of a program: a module, MODULE:CLASS for one object, or an entry point's name.",
        sample_default=["fleet.memory"],
    ),
    cfg.IntOpt("workers", default=1, min=1, help="Processes of rome-conductor."),
    cfg.ListOpt(
        "modules",
        default=[],
        help="Modules that define objects. rome-conductor imports them.",
        sample_default=["nova.objects"],
    ),
]

UPGRADE_OPTS = [
    cfg.DictOpt(
        "objects",
        default={},
        help="Objects that are sent in an older version, for processes of the previous release.",
        sample_default={"Server": "1.1"},
    ),
]

SCHEMA_OPTS = [
    cfg.ListOpt(
        "scripts",
        default=[],
        help="Directories of the revision scripts, one script for each release: paths, or PACKAGE:PATH. With them, a "
        "process migrates the rows that it loads, and refuses a database that is not of its release.",
        sample_default=["fleet:migrations"],
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the options for oslo.config's generator, which finds this by the entry point `rome.objects`."""
    return [
        (GROUP, [*OPTS]),
        ("upgrade_levels", [*UPGRADE_OPTS]),
        ("schema", [*SCHEMA_OPTS]),
        (SERVICE_GROUP, [*SERVICE_OPTS]),
    ]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Define the options that a process with objects reads."""
    for group, options in list_opts():
        conf.register_opts(options, group)
    conf.register_opts(database_opts, "database")
