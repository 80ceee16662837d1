"""The RPC server of a conductor."""

from __future__ import annotations

from typing import Any

import oslo_messaging
from oslo_config import cfg

from rome_objects.conductor.endpoint import Endpoint
from rome_objects.options import GROUP
from rome_objects.serializer import Serializer


def make_server(conf: cfg.ConfigOpts, transport: Any, name: str) -> Any:
    """Return a server that runs calls in `executor_thread_pool_size` threads.

    The caller starts and stops it, and waits for it.
    """
    target = oslo_messaging.Target(topic=conf[GROUP].topic, server=name)
    return oslo_messaging.get_rpc_server(
        transport,
        target,
        [Endpoint()],
        executor="threading",
        serializer=Serializer(asks_conductor=False),
        access_policy=oslo_messaging.DefaultRPCAccessPolicy,
    )
