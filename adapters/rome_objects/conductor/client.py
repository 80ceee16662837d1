"""What the other processes call: each remotable method becomes one message to a conductor, and one answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import oslo_messaging
from oslo_versionedobjects.base import VersionedObject, VersionedObjectIndirectionAPI, VersionedObjectRegistry

from rome_objects import registry
from rome_objects.conductor.endpoint import NAMESPACE, VERSION
from rome_objects.errors import ConductorUnavailable
from rome_objects.serializer import Serializer

_REMOTE = "_Remote"
_TRACEBACK = "\nTraceback (most recent call last):\n"


class Client(VersionedObjectIndirectionAPI):
    """The conductors of a topic.

    A call that no conductor answers in time raises ConductorUnavailable. It is repeated before, up to `attempts` times,
    if the method is declared `safe_to_repeat`.
    """

    def __init__(self, transport: Any, topic: str, timeout: float, attempts: int, serializer: Serializer) -> None:
        self.topic = topic
        self.timeout = timeout
        self.attempts = attempts
        target = oslo_messaging.Target(topic=topic, namespace=NAMESPACE, version=VERSION)
        self._client = oslo_messaging.get_rpc_client(transport, target, timeout=timeout, serializer=serializer)

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
        return self._repeat(
            lambda: self._client.call(context, action, **arguments), self.attempts if safe else 1, cls, method
        )

    def _repeat(self, call: Callable[[], Any], attempts: int, cls: type[VersionedObject], method: str) -> Any:
        for left in reversed(range(attempts)):
            try:
                return call()
            except oslo_messaging.MessagingTimeout as error:
                if not left:
                    raise ConductorUnavailable(
                        objname=cls.obj_name(), method=method, topic=self.topic, timeout=self.timeout
                    ) from error
            except Exception as error:
                _restore_type(error)
                raise
        raise AssertionError("attempts is at least 1")


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
