"""The client in other processes: each remotable method becomes one message to a conductor, and one answer."""

from __future__ import annotations

import threading
from typing import Any

import oslo_messaging
from oslo_versionedobjects.base import VersionedObject, VersionedObjectIndirectionAPI

from rome_objects import registry
from rome_objects.conductor.endpoint import NAMESPACE, VERSION
from rome_objects.errors import ConductorUnavailable
from rome_objects.messages.calls import Caller
from rome_objects.serializer import Serializer

_CLOSING = 5.0
"""Seconds."""


class Client(VersionedObjectIndirectionAPI):
    """The conductors of a topic.

    A call that no conductor answers in time raises ConductorUnavailable, one that could not be sent BrokerUnavailable.
    It is repeated before, up to `attempts` times, if the method is declared `safe_to_repeat`. `broker` is the
    TransportURL of the transport.
    """

    def __init__(
        self, transport: Any, broker: Any, topic: str, timeout: float, attempts: int, serializer: Serializer
    ) -> None:
        self._attempts = attempts
        self._transport = transport
        target = oslo_messaging.Target(topic=topic, namespace=NAMESPACE, version=VERSION)
        self._caller = Caller(transport, broker, target, timeout, serializer, ConductorUnavailable)

    def close(self) -> None:
        """Close the connections to the broker, and end the threads that wait for answers.

        Wait for at most a few seconds: a broker that is away does not hold up the process.
        """
        closing = threading.Thread(target=self._transport.cleanup, name="rome-objects-close", daemon=True)
        closing.start()
        closing.join(_CLOSING)

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
        return self._caller.call(
            context, action, arguments, cls.obj_name(), method, attempts=self._attempts if safe else 1
        )
