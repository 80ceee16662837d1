"""The errors of domain objects. Each message names the object, its version where it matters, and the way out.

They derive from oslo.versionedobjects' exceptions: they are built from keyword arguments, so that oslo.messaging
rebuilds them in the caller's process.
"""

from __future__ import annotations

from oslo_versionedobjects import exception


class ObjectError(exception.VersionedObjectsException):
    """An operation on a domain object failed."""


class DefinitionError(ObjectError):
    """A class of objects is not valid."""

    msg_fmt = "class %(objname)s: %(reason)s"


class DuplicateObject(DefinitionError):
    """Two classes have the same name and version."""

    msg_fmt = (
        "%(objname)s %(version)s is registered by %(first)s and again by %(second)s: "
        "rename one of the classes, or increment its VERSION"
    )


class UnknownObject(exception.UnsupportedObjectError, ObjectError):
    """A primitive names a class that is not registered in this process."""

    msg_fmt = "object %(objtype)s is not registered in this process: import the module that defines it"


class NewerVersion(exception.IncompatibleObjectVersion, ObjectError):
    """A primitive has a newer minor version than this process knows."""

    msg_fmt = (
        "%(objname)s %(objver)s is newer than %(supported)s, the newest version in this process: "
        "upgrade it, pin the sender under [upgrade_levels], or let a conductor backport the object"
    )


class OtherMajorVersion(exception.IncompatibleObjectVersion, ObjectError):
    """A primitive has a major version that this process does not have."""

    msg_fmt = (
        "%(objname)s %(objver)s has another major version than %(supported)s, the newest in this process: "
        "register a class of that version as well, or upgrade the sender"
    )


class InvalidPrimitive(ObjectError, ValueError):
    """A primitive is malformed, or has a value of the wrong type."""

    msg_fmt = "a primitive of %(objname)s is invalid: %(reason)s"


class NotLoaded(ObjectError, AttributeError, NotImplementedError):
    """A field was read that has no value yet. Loading is never implicit."""

    msg_fmt = "field %(field)s of %(objname)s is not loaded: call load(%(field)r), or set it"


class NotFound(ObjectError, LookupError):
    """No row matches."""

    msg_fmt = "no %(objname)s with %(key)s"


class ObjectGone(NotFound):
    """The row of an object was deleted since the object was read."""

    msg_fmt = "%(objname)s %(key)s was destroyed: its changes are not saved"


class StateConflict(ObjectError):
    """The row of an object is not in the state that the caller expected."""

    msg_fmt = "%(objname)s %(key)s is not in the expected state %(expected)s: refresh it and decide again"


class ConstraintViolated(ObjectError):
    """The database refused a row: a unique or foreign key, a CHECK, or NOT NULL."""

    msg_fmt = "%(objname)s: %(reason)s"


class Contended(ObjectError):
    """Other transactions wrote the same rows each time that a method ran."""

    msg_fmt = (
        "%(objname)s %(version)s: other transactions wrote the same rows whenever %(method)s ran. Nothing is written: "
        "try again, or let fewer processes write these rows"
    )


class DatabaseFailed(ObjectError):
    """The database refused a statement, or could not be reached."""

    msg_fmt = (
        "%(objname)s %(version)s: the database failed while %(method)s ran: %(reason)s. Unless it failed while it "
        "committed, nothing is written: check that it runs, and read the object before you try again"
    )


class InvalidQuery(ObjectError, ValueError):
    """A filter, a sort key, a limit or a marker is not valid."""

    msg_fmt = "query of %(objname)s: %(reason)s"


class NotConfigured(ObjectError):
    """The process may not reach the store, or has no conductor."""

    msg_fmt = "%(reason)s"


class Unanswered(ObjectError):
    """Another process did not answer a call. The call may have been executed."""


class ConductorUnavailable(Unanswered):
    """No conductor answered in time."""

    msg_fmt = (
        "no conductor answered %(objname)s.%(method)s on topic %(topic)s within %(timeout)s s: start rome-conductor, "
        "or increase [objects] call_timeout. The call may have been executed: read the object before you repeat it"
    )


class ServiceUnavailable(Unanswered):
    """No service answered in time."""

    msg_fmt = (
        "no service answered %(objname)s.%(method)s on topic %(topic)s within %(timeout)s s: start it, or increase "
        "[objects] call_timeout. The call may have been executed: find out before you repeat it"
    )


class BrokerUnavailable(Unanswered):
    """The message broker could not be reached, or refused the connection."""

    msg_fmt = (
        "%(objname)s.%(method)s was not sent to topic %(topic)s, or the connection broke meanwhile: %(reason)s. "
        "Check that the broker of transport_url runs and admits this process, and read the object before you repeat "
        "the call"
    )


class NotRemotable(ObjectError):
    """A method was called by RPC that is not declared remotable."""

    msg_fmt = "%(objname)s.%(method)s is not remotable"


class SchemaError(ObjectError):
    """A step of a schema change is refused, or the schema is not one that this process can use."""

    msg_fmt = "%(reason)s"
