"""Calls of other processes: in time, repeated only where that is safe, and with exceptions as they were raised."""

from __future__ import annotations

import math
from typing import Any

import oslo_messaging
from amqp.exceptions import AMQPError  # type: ignore[import-untyped]
from kombu.exceptions import KombuError
from oslo_versionedobjects.base import VersionedObjectRegistry

from rome_objects.errors import BrokerUnavailable, Unanswered
from rome_objects.messages.broker import wait_for

_BROKER_ERRORS = (oslo_messaging.MessageDeliveryFailure, AMQPError, KombuError, ConnectionError)
_REMOTE = "_Remote"
_TRACEBACK = "\nTraceback (most recent call last):\n"


class Caller:
    """Calls the servers of a target.

    `broker` is the TransportURL of the transport. `unanswered` is the error for a call that no server answers within
    `timeout` seconds; one that could not be sent raises BrokerUnavailable.
    """

    def __init__(
        self, transport: Any, broker: Any, target: Any, timeout: float, serializer: Any, unanswered: type[Unanswered]
    ) -> None:
        self._broker = broker
        self._topic = target.topic
        self._timeout = timeout
        self._unanswered = unanswered
        self._is_connected = False
        self._client = oslo_messaging.get_rpc_client(
            transport, target, timeout=timeout, retry=_retries(timeout), serializer=serializer
        )

    def call(
        self,
        context: Any,
        action: str,
        arguments: dict[str, Any],
        objname: str,
        method: str,
        attempts: int,
        host: str | None = None,
    ) -> Any:
        """Return the result of an action, which is a call of `method` of `objname` for errors.

        It is tried `attempts` times if no answer comes.
        """
        names = {
            "objname": objname,
            "method": method,
            "topic": self._topic if host is None else f"{self._topic}.{host}",
        }
        for left in reversed(range(attempts)):
            try:
                self._connect(names)
                return self._prepared(host).call(context, action, **arguments)
            except oslo_messaging.MessagingTimeout as error:
                if not left:
                    raise self._unanswered(**names, timeout=self._timeout) from error
            except _BROKER_ERRORS as error:
                if not left:
                    raise BrokerUnavailable(**names, reason=error) from error
            except Exception as error:
                _restore_type(error)
                raise
        raise AssertionError("attempts is at least 1")

    def cast(self, context: Any, action: str, arguments: dict[str, Any], objname: str, host: str | None) -> None:
        """Send an action, and do not wait for it. Raise BrokerUnavailable."""
        names = {"objname": objname, "method": action, "topic": self._topic}
        try:
            self._connect(names)
            self._prepared(host).cast(context, action, **arguments)
        except _BROKER_ERRORS as error:
            raise BrokerUnavailable(**names, reason=error) from error

    def _prepared(self, host: str | None) -> Any:
        return self._client if host is None else self._client.prepare(server=host)

    def _connect(self, names: dict[str, str]) -> None:
        """Raise BrokerUnavailable if the broker does not accept the first connection in time."""
        if not self._is_connected and not wait_for(self._broker, self._timeout):
            hosts = ", ".join(f"{host.hostname}:{host.port or 'default'}" for host in self._broker.hosts)
            raise BrokerUnavailable(**names, reason=f"{hosts} accepted no connection within {self._timeout} s")
        self._is_connected = True


def exception_modules() -> list[str]:
    """Return the modules whose exceptions are raised in the caller's process as they were in the called one."""
    classes = VersionedObjectRegistry.obj_classes().values()
    modules = {cls.__module__ for versions in classes for cls in versions}
    libraries = {"oslo_versionedobjects.exception", "oslo_versionedobjects.fields", "sqlalchemy.exc"}
    return sorted({"rome_objects.errors", *libraries, *modules})


def _retries(timeout: float) -> int:
    """Return how often oslo.messaging may try to send a message, to give up after about `timeout` seconds.

    It waits 1, 3, 5 … seconds between them, by default, and a second each time.
    """
    return max(1, math.isqrt(int(timeout)))


def _restore_type(error: Exception) -> None:
    """Undo what oslo.messaging does to a remote exception: a type of its own, and the traceback in its message."""
    kind = type(error)
    if kind.__name__.endswith(_REMOTE) and kind.__module__.endswith(_REMOTE):
        message = str(error)
        error.__class__ = kind.__mro__[1]
    elif error.args and isinstance(error.args[0], str) and _TRACEBACK in error.args[0]:
        message = error.args[0]
        error.args = (message.partition("\n" + _TRACEBACK.lstrip("\n"))[0], *error.args[1:])
    else:
        return
    error.add_note(f"In the called process: {message}")
