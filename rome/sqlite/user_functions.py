"""The functions and collations that an application has added to a connection's SQL.

They are kept here, because a connection may have several workspaces one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rome.sqlite.workspace import Workspace


class UserFunctions:
    """The functions and collations of one connection; None in place of one that was removed."""

    def __init__(self) -> None:
        self._functions: dict[tuple[str, int], tuple[Callable[..., Any] | None, bool]] = {}
        self._collations: dict[str, Callable[[str, str], int] | None] = {}

    def function(
        self, workspace: Workspace, name: str, narg: int, function: Callable[..., Any] | None, deterministic: bool
    ) -> None:
        """Add a function of `narg` arguments, or remove it."""
        self._functions[name, narg] = function, deterministic
        _add(workspace, name, narg, function, deterministic)

    def collation(self, workspace: Workspace, name: str, function: Callable[[str, str], int] | None) -> None:
        """Add a collation, or remove it."""
        workspace.sqlite.create_collation(name, function)
        self._collations[name] = function

    def add_to(self, workspace: Workspace) -> None:
        """Add all of them to a new workspace."""
        for (name, narg), (function, deterministic) in self._functions.items():
            _add(workspace, name, narg, function, deterministic)
        for name, collation in self._collations.items():
            workspace.sqlite.create_collation(name, collation)


def _add(workspace: Workspace, name: str, narg: int, function: Callable[..., Any] | None, deterministic: bool) -> None:
    if function is not None and not deterministic:
        function = workspace.repeated_calls.wrap(function)
    workspace.sqlite.create_scalar_function(name, function, narg, deterministic=deterministic)
