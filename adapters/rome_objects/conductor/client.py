"""What the other processes call: each remotable method becomes one message to a conductor, and one answer."""

from __future__ import annotations

import math
from typing import Any

import oslo_messaging
from amqp.exceptions import AMQPError  # type: ignore[import-untyped]
from kombu.exceptions import KombuError
from oslo_versionedobjects.base import VersionedObject, VersionedObjectIndirectionAPI, VersionedObjectRegistry

from rome_objects import registry
from rome_objects.broker import wait_for
from rome_objects.conductor.endpoint import NAMESPACE, VERSION
from rome_objects.errors import BrokerUnavailable, ConductorUnavailable
from rome_objects.serializer import Serializer

_REMOTE = "_Remote"
_BROKER_ERRORS = (oslo_messaging.MessageDeliveryFailure, AMQPError, KombuError, ConnectionError)
_TRACEBACK = "\nTraceback (most recent call last):\n"


class Client(VersionedObjectIndirectionAPI):
    """The conductors of a topic.

    A call that no conductor answers in time raises ConductorUnavailable, one that could not be sent BrokerUnavailable.
    It is repeated before, up to `attempts` times, if the method is declared `safe_to_repeat`. `broker` is the
    TransportURL of the transport.
    """

    def __init__(
        self, transport: Any, broker: Any, topic: str, timeout: float, attempts: int, serializer: Serializer
    ) -> None:
        self.topic = topic
        self.timeout = timeout
        self.attempts = attempts
        self._broker = broker
        self._is_connected = False
        target = oslo_messaging.Target(topic=topic, namespace=NAMESPACE, version=VERSION)
        self._client = oslo_messaging.get_rpc_client(
            transport, target, timeout=timeout, retry=_retries(timeout), serializer=serializer
        )

    def object_action(
        self, context: Any, objinst: VersionedObject, objmethod: str, args: Any, kwargs: dict[str, Any]
    ) -> tuple[dict[str, Any], Any]:
        """Call a method of an object, and set the fields that it changed. Return what is not saved, and its result."""
        answer = self._call(
            type(objinst), objmethod, context, "object_action",
            objinst=objinst, objmethod=objmethod, args=args, kwargs=kwargs,
        )  # fmt: skip
        values = objinst.__dict__
        values.update({name: value for name, value in answer["updates"].__dict__.items() if name.startswith("_obj_")})
        for name in answer["unset"]:
            values.pop(f"_obj_{name}", None)
        return {"obj_what_changed": answer["changed"]}, answer["result"]

    def object_class_action_versions(
        self,
        context: Any,
        objname: str,
        objmethod: str,
        object_versions: dict[str, str],
        args: Any,
        kwargs: dict[str, Any],
    ) -> Any:
        """Call a method of a class, and return its result."""
        return self._call(
            registry.classes_of(objname)[0], objmethod, context, "object_class_action_versions",
            objname=objname, objmethod=objmethod, object_versions=object_versions, args=args, kwargs=kwargs,
        )  # fmt: skip

    def object_backport_versions(self, context: Any, objinst: Any, object_versions: dict[str, str]) -> Any:
        """Return an object that is too new for this process, in the versions that it knows."""
        name = next(iter(object_versions))  # the object itself comes before those in its fields
        return self._call(
            registry.classes_of(name)[0], "backport", context, "object_backport_versions",
            objinst=objinst, object_versions=object_versions,
        )  # fmt: skip

    def _call(self, cls: type[VersionedObject], method: str, context: Any, action: str, **arguments: Any) -> Any:
        safe = action == "object_backport_versions" or getattr(getattr(cls, method, None), "safe_to_repeat", False)
        names = {"objname": cls.obj_name(), "method": method, "topic": self.topic}
        for left in reversed(range(self.attempts if safe else 1)):
            try:
                self._connect(names)
                return self._client.call(context, action, **arguments)
            except oslo_messaging.MessagingTimeout as error:
                if not left:
                    raise ConductorUnavailable(**names, timeout=self.timeout) from error
            except _BROKER_ERRORS as error:
                if not left:
                    raise BrokerUnavailable(**names, reason=error) from error
            except Exception as error:
                _restore_type(error)
                raise
        raise AssertionError("attempts is at least 1")

    def _connect(self, names: dict[str, str]) -> None:
        """Raise BrokerUnavailable if the broker does not accept the first connection in time."""
        if not self._is_connected and not wait_for(self._broker, self.timeout):
            hosts = ", ".join(f"{host.hostname}:{host.port or 'default'}" for host in self._broker.hosts)
            raise BrokerUnavailable(**names, reason=f"{hosts} accepted no connection within {self.timeout} s")
        self._is_connected = True


def _retries(timeout: float) -> int:
    """Return how often oslo.messaging may try to send a message, to give up after about `timeout` seconds.

    It waits 1, 3, 5 … seconds between them, by default, and a second each time.
    """
    return max(1, math.isqrt(int(timeout)))


def exception_modules() -> list[str]:
    """Return the modules whose exceptions are raised in the caller's process as they were in the conductor."""
    classes = VersionedObjectRegistry.obj_classes().values()
    modules = {cls.__module__ for versions in classes for cls in versions}
    return sorted({"rome_objects.errors", "oslo_versionedobjects.exception", "oslo_versionedobjects.fields", *modules})


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
    error.add_note(f"In the conductor: {message}")
