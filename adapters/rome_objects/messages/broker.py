"""The message broker: whether it can be reached, and Valkey or Redis as one.

`transport_url = kombu+valkey://HOST:PORT/DB` sends messages through Valkey or Redis, where no RabbitMQ runs.

oslo.messaging sends by kombu, which has a transport for Redis. It misses one attribute that oslo.messaging expects of a
channel: the handlers of messages that no queue took. `register` adds a kombu transport that has the attribute.

Redis returns no such messages, and keeps none for a queue that does not exist yet: a call before the first conductor
has started times out.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections import defaultdict
from typing import Any

from kombu import transport
from kombu.transport import redis


class Channel(redis.Channel):
    """A channel with handlers for events, which are never called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.events: defaultdict[str, set[Any]] = defaultdict(set)
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]


class Transport(redis.Transport):
    """kombu's transport for Redis, with these channels."""

    Channel = Channel


def register() -> None:
    """Let kombu find the transport by its name."""
    transport.TRANSPORT_ALIASES["valkey"] = f"{__name__}:Transport"


_PORTS = {"rabbit": 5672, "kombu+amqp": 5672, "kombu+redis": 6379, "kombu+valkey": 6379}
"""The ports of transports, for URLs without one."""

_PAUSE = 0.5


def wait_for(url: Any, timeout: float) -> bool:
    """Return whether a host of an `oslo_messaging.TransportURL` accepts connections within `timeout` seconds.

    oslo.messaging opens its first connection without a limit of time. The hosts of other transports than RabbitMQ,
    Valkey and Redis are not tried.
    """
    if url.transport not in _PORTS:
        return True
    addresses = [(host.hostname, host.port or _PORTS[url.transport]) for host in url.hosts]
    end = time.monotonic() + timeout
    while True:
        for address in addresses:
            left = max(end - time.monotonic(), 0.1)
            with contextlib.suppress(OSError), socket.create_connection(address, timeout=left):
                return True
        if time.monotonic() + _PAUSE > end:
            return False
        time.sleep(_PAUSE)
