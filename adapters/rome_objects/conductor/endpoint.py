"""The methods of a conductor that are called by RPC.

An object arrives in the caller's version, and returns in it: the changes of a method are the differences between the
caller's form of the object before and after. So a conductor of a new release serves processes of an old one.
"""

from __future__ import annotations

from typing import Any

import oslo_messaging
from oslo_versionedobjects.base import VersionedObject
from oslo_versionedobjects.exception import VersionedObjectsException

from rome_objects import registry
from rome_objects.errors import NotRemotable
from rome_objects.remoting import serving
from rome_objects.versioned import VersionedBase

NAMESPACE = "rome_objects"
VERSION = "1.0"


class Endpoint:
    """The methods that a conductor runs for other processes."""

    target = oslo_messaging.Target(namespace=NAMESPACE, version=VERSION)

    @oslo_messaging.expected_exceptions(VersionedObjectsException)  # type: ignore[untyped-decorator]
    def object_action(
        self, context: Any, objinst: VersionedBase, objmethod: str, args: Any, kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Call a method of an object.

        Return its result, the changes of the object's fields as an object that has only these, the fields that have no
        value any more, and the fields whose changes are not saved.
        """
        method = _remotable(objinst, objmethod)
        key = objinst._obj_primitive_key("data")
        before = objinst.obj_to_primitive()[key]
        with serving():
            result = method(*args, **kwargs)
        updates = objinst.obj_to_primitive()
        after = updates[key]
        updates[key] = {name: value for name, value in after.items() if name not in before or before[name] != value}
        return {
            "result": result,
            "updates": updates,
            "unset": [name for name in before if name not in after],
            "changed": [old for name in objinst._own_changes() if (old := objinst._name_in(name, after))],
        }

    @oslo_messaging.expected_exceptions(VersionedObjectsException)  # type: ignore[untyped-decorator]
    def object_class_action_versions(
        self,
        context: Any,
        objname: str,
        objmethod: str,
        object_versions: dict[str, str],
        args: Any,
        kwargs: dict[str, Any],
    ) -> Any:
        """Call a method of a class. Objects in the result have the caller's versions."""
        cls = registry.class_for(objname, object_versions[objname])
        method = _remotable(cls, objmethod)
        with serving():
            result = method(context, *args, **kwargs)
        if isinstance(result, VersionedObject):
            version = object_versions.get(result.obj_name())
            return result.obj_to_primitive(version, version_manifest=object_versions)
        return result

    @oslo_messaging.expected_exceptions(VersionedObjectsException)  # type: ignore[untyped-decorator]
    def object_backport_versions(
        self, context: Any, objinst: VersionedBase, object_versions: dict[str, str]
    ) -> dict[str, Any]:
        """Return the primitive of an object in the versions of the caller."""
        return objinst.obj_to_primitive(object_versions[objinst.obj_name()], version_manifest=object_versions)


def _remotable(target: Any, name: str) -> Any:
    """Return a method. Raise NotRemotable if it is not declared so."""
    method = getattr(target, name, None) if not name.startswith("__") else None
    if not getattr(method, "remotable", False):
        raise NotRemotable(objname=target.obj_name(), method=name)
    return method
