"""Errors of the server, of sockets and of Sentinels as ROME's errors. Messages name the server, never the password."""

from __future__ import annotations

from redis import exceptions as redis_errors
from redis.sentinel import MasterNotFoundError

from rome.errors import (
    CounterUsedUp,
    DatabaseError,
    FormatError,
    InternalError,
    NotSupportedError,
    StoreUnavailable,
)
from rome.storage.redis.presence import missing_key

LOST = (OSError, redis_errors.ConnectionError, redis_errors.TimeoutError)
"""The connection broke or can't be made; redis-py's errors come from its client of Sentinels."""


class Redirected(ConnectionError):
    """Another server has the database, or soon will: the round is to be sent again. Sentinels or a cluster know it.

    `asked`: the host and the port of the node that a key has been moved to, while the node still has the others.
    """

    def __init__(self, message: str, asked: tuple[str, int] | None = None) -> None:
        super().__init__(message)
        self.asked = asked


_REFUSALS = {
    "NOAUTH": "the server asks for a password",
    "WRONGPASS": "the server refuses the user name or password",
    "NOPERM": "the server does not let this user do that",
    "READONLY": "the server is a replica, which accepts no writes",
    "OOM": "the server is out of memory",
    "MISCONF": "the server accepts no writes, because it can't save them",
    "NOREPLICAS": "the server accepts no writes, because too few replicas are connected",
    "MASTERDOWN": "the server is a replica that has lost its primary",
    "LOADING": "the server is still loading its data",
    "BUSY": "the server is busy with a script",
    "MOVED": "the database is on another node of the cluster; add cluster=on to the ROME URL",
    "ASK": "the cluster is moving the database; add cluster=on to the ROME URL",
    "UNBLOCKED": "the server has become a replica",
    "CLUSTERDOWN": "the cluster is down",
    "TRYAGAIN": "the cluster is moving the database",
    "UNKILLABLE": "the server is busy with a script",
}
"""By the first word of the server's message: what the refusal means."""


def is_forgotten_script(error: redis_errors.ResponseError) -> bool:
    """Return True if the server does not know a script that was called by its hash."""
    return str(error).startswith("NOSCRIPT")


def refused(server: str, error: Exception) -> DatabaseError:
    """Return the error for a reply that is an error."""
    text = str(error)
    word = text.split(" ", 1)[0].rstrip(":")
    if "ACL failure in script" in text:
        word = "NOPERM"
    if word in _REFUSALS:
        return StoreUnavailable(f"{_REFUSALS[word]}: {server}: {text}")
    if "Script killed by user" in text:
        return StoreUnavailable(f"an administrator has stopped the script before it wrote anything: {server}: {text}")
    if word == "MISSING":
        return missing_key(text.partition(" ")[2].encode(), server)
    if word == "AHEAD":
        return FormatError(
            f"key {text.partition(' ')[2]} on {server} has a log entry of a version that the database has not reached: "
            "another program has written it, or the state is an older one; restore the database"
        )
    if word == "CROSSSLOT":
        return NotSupportedError(f"two databases of a cluster can't be reached together: {server}: {text}")
    if "max number of clients" in text:
        return StoreUnavailable(f"the server has as many clients as it allows: {server}: {text}")
    if "would overflow" in text:
        return CounterUsedUp(f"a counter of {server}")
    if "not an integer" in text:
        return FormatError(f"a number in the database's key counters does not decode: {server}: {text}")
    if "data string too short" in text or "Invalid stream ID" in text:
        return FormatError(
            f"the state in the database's key meta, or its keys trim or locks, do not decode: {server}: {text}"
        )
    return InternalError(f"unexpected answer of {server}: {text}")


def unreachable(server: str, error: Exception) -> StoreUnavailable:
    """Return the error for a connection that can't be made, or that the server refuses at its beginning."""
    if isinstance(error, MasterNotFoundError):
        # The rest of its text lists the clients that asked, in full.
        return StoreUnavailable(f"the sentinels can't be reached, or know no primary: {server}")
    refusal = refused(server, error)
    if isinstance(refusal, StoreUnavailable):
        return refusal
    # The server's sentence about its clients is lost if ours arrives after it has closed the connection.
    why = (
        "; a server does this that has as many clients as it allows" if isinstance(error, ConnectionResetError) else ""
    )
    return StoreUnavailable(f"can't connect to {server}: {error}{why}")
