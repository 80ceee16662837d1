"""Parameters as SQLite takes them, or an error that names the one that it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rome.errors import DataError, ProgrammingError
from rome.sqlite.workspace import Parameters

_AS_THEY_ARE = frozenset({type(None), int, float, str, bytes})


def checked(parameters: Any) -> Parameters:
    """The parameters of one execution. Raises ProgrammingError for a wrong type, DataError for too large an int."""
    if type(parameters) is tuple and _AS_THEY_ARE.issuperset(map(type, parameters)):
        for value in parameters:
            if type(value) is int and not -(2**63) <= value < 2**63:
                break
        else:
            return parameters
    if isinstance(parameters, Mapping):
        return {name: _value(name, value) for name, value in parameters.items()}
    if isinstance(parameters, (str, bytes)) or not isinstance(parameters, Sequence):
        raise ProgrammingError(f"parameters must be a sequence or a mapping, not {type(parameters).__name__}")
    return tuple(_value(at + 1, each) for at, each in enumerate(parameters))


def _value(name: int | str, value: Any) -> Any:
    if value is None or isinstance(value, (float, str)):
        return value
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise DataError(f"parameter {name}: Python int too large to convert to SQLite INTEGER")
        return int(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise ProgrammingError(f"Error binding parameter {name}: type '{type(value).__name__}' is not supported")
