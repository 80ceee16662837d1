"""What Redis and redis-py raise, as ROME's errors. Messages name the server, and never the password."""

from __future__ import annotations

from redis import exceptions as redis_errors
from redis.sentinel import MasterNotFoundError

from rome.errors import DatabaseError, InternalError, OperationalError, StoreUnavailable

LOST = (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError)
"""The connection broke, or can't be made."""

_REFUSALS = {
    "NOAUTH": "the server asks for a password",
    "WRONGPASS": "the server refuses the user name or password",
    "NOPERM": "the server does not let this user do that",
    "READONLY": "the server is a replica, which takes no writes",
    "OOM": "the server is out of memory",
    "MISCONF": "the server takes no writes, because it can't save them",
    "NOREPLICAS": "the server takes no writes, because too few replicas are connected",
    "MASTERDOWN": "the server is a replica that has lost its primary",
    "LOADING": "the server is still loading its data",
    "BUSY": "the server is busy with somebody's script",
    "MOVED": "the database lives on another node of the cluster",
    "CLUSTERDOWN": "the cluster is down",
    "TRYAGAIN": "the cluster is moving the database",
    "UNKILLABLE": "the server is busy with somebody's script",
}
"""By the first word of the server's message: what it means that the server refuses us."""


def is_forgotten_script(error: redis_errors.ResponseError) -> bool:
    """Whether an error of the server says that it does not know a script."""
    return str(error).startswith("NOSCRIPT")


def refused(server: str, error: redis_errors.RedisError) -> DatabaseError:
    """The error for a reply that is one."""
    text = str(error)
    word = text.split(" ", 1)[0].rstrip(":")
    for exception, code in _CODES.items():
        # redis-py takes the code off the message of the errors that it has classes for.
        if isinstance(error, exception):
            word = code
    if word in _REFUSALS:
        return StoreUnavailable(f"{_REFUSALS[word]}: {server}: {text}")
    if "would overflow" in text:
        return OperationalError(f"a counter is used up: {server}: {text}")
    return InternalError(f"unexpected answer of {server}: {text}")


def unreachable(server: str, error: Exception) -> StoreUnavailable:
    """The error for a connection that can't be made, or is refused at its beginning."""
    if isinstance(error, MasterNotFoundError):
        # The rest of its text lists the clients it asked with, whole.
        return StoreUnavailable(f"the sentinels can't be reached, or know no primary: {server}")
    if isinstance(error, redis_errors.RedisError):
        answer = refused(server, error)
        if isinstance(answer, StoreUnavailable):
            return answer
    return StoreUnavailable(f"can't connect to {server}: {error}")


_CODES: dict[type[redis_errors.RedisError], str] = {
    redis_errors.AuthenticationError: "WRONGPASS",
    redis_errors.BusyLoadingError: "LOADING",
    redis_errors.NoPermissionError: "NOPERM",
    redis_errors.OutOfMemoryError: "OOM",
    redis_errors.ReadOnlyError: "READONLY",
}
