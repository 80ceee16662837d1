"""The set-up of a process: where the methods of its objects run."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import oslo_messaging
from oslo_config import cfg

from rome_objects import database, remoting, serializer
from rome_objects.conductor.client import Client
from rome_objects.messages import broker
from rome_objects.messages.calls import exception_modules
from rome_objects.options import GROUP, register_opts
from rome_objects.schema import on_load

if TYPE_CHECKING:
    from rome_objects.schema.releases import Release


def set_up(conf: cfg.ConfigOpts) -> None:
    """Read a process's configuration, after its objects are imported.

    With `[objects] direct = true`, methods run on `[database] connection`. Otherwise they run in a conductor, and this
    process can't open a database, whatever is configured.
    """
    register_opts(conf)
    options = conf[GROUP]
    for name in options.modules:
        import_module(name)
    serializer.pin(conf.upgrade_levels.objects)
    if options.direct:
        remoting.call_directly()
        database.connect_to(conf.database.connection, on_load.checker(_releases(conf.schema.scripts)))
        return
    database.connect_to(None)
    remoting.call_conductor(
        Client(
            make_transport(conf),
            oslo_messaging.TransportURL.parse(conf),
            options.topic,
            options.call_timeout,
            options.call_attempts,
            serializer.Serializer(),
        )
    )


def _releases(scripts: Sequence[str]) -> Sequence[Release]:
    """Return the releases that revision scripts define. Alembic is imported only if there are scripts."""
    if not scripts:
        return ()
    from rome_objects.schema.releases import load

    return load(scripts)


def make_transport(conf: cfg.ConfigOpts) -> Any:
    """Return the transport of `transport_url`, by which the exceptions of registered objects come back as they are."""
    broker.register()
    return oslo_messaging.get_rpc_transport(conf, allowed_remote_exmods=exception_modules())
