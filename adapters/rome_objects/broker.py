"""`transport_url = kombu+valkey://HOST:PORT/DB`: messages through Valkey or Redis, where no RabbitMQ runs.

oslo.messaging sends by kombu, which has a transport for Redis. It misses one attribute that oslo.messaging expects of a
channel: the handlers of messages that no queue took. `register` adds a kombu transport that has the attribute.

Redis returns no such messages, and keeps none for a queue that does not exist yet: a call before the first conductor
has started times out.
"""

from __future__ import annotations

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
