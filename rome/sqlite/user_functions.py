"""The functions and collations that an application has added to a connection's SQL.

They are kept here, because a connection may have several workspaces one after the other.

An aggregate is a class as in Python's sqlite3: `step` takes the values of a row, `finalize` returns the result.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

from rome.folding import fold_name
from rome.sqlite.workspace import Workspace


class UserFunctions:
    """The functions and collations of one connection; None in place of one that was removed."""

    def __init__(self, known: Set[str]) -> None:
        """`known`: the functions that planner and evaluators know without SQLite (`Workspace.redefined`)."""
        self._known = known
        self._functions: dict[tuple[str, int], tuple[Callable[..., Any] | None, bool]] = {}
        self._aggregates: dict[tuple[str, int], Callable[[], Any] | None] = {}
        self.case_sensitive_like = False
        """True if LIKE distinguishes the case of letters."""
        self._collations: dict[str, Callable[[str, str], int] | None] = {}

    def function(
        self, workspace: Workspace, name: str, narg: int, function: Callable[..., Any] | None, deterministic: bool
    ) -> None:
        """Add a function of `narg` arguments, or remove it."""
        self._functions[name, narg] = function, deterministic
        self._add(workspace, name, narg, function, deterministic)

    def aggregate(self, workspace: Workspace, name: str, narg: int, aggregate: Callable[[], Any] | None) -> None:
        """Add an aggregate of `narg` arguments, or remove it."""
        self._aggregates[name, narg] = aggregate
        self._add_aggregate(workspace, name, narg, aggregate)

    def distinguish_case(self, workspace: Workspace, case_sensitive: bool) -> None:
        """Let LIKE distinguish the case of letters, or not."""
        self.case_sensitive_like = case_sensitive
        self._set_like(workspace)

    def collation(self, workspace: Workspace, name: str, function: Callable[[str, str], int] | None) -> None:
        """Add a collation, or remove it."""
        workspace.sqlite.create_collation(name, function)
        self._collations[name] = function

    def add_to(self, workspace: Workspace) -> None:
        """Add all of them to a new workspace."""
        if self.case_sensitive_like:
            self._set_like(workspace)
        for (name, narg), (function, deterministic) in self._functions.items():
            self._add(workspace, name, narg, function, deterministic)
        for (name, narg), aggregate in self._aggregates.items():
            self._add_aggregate(workspace, name, narg, aggregate)
        for name, collation in self._collations.items():
            workspace.sqlite.create_collation(name, collation)

    def _add(
        self, workspace: Workspace, name: str, narg: int, function: Callable[..., Any] | None, deterministic: bool
    ) -> None:
        if function is not None and not deterministic:
            function = workspace.repeated_calls.wrap(function)
        workspace.sqlite.create_scalar_function(name, function, narg, deterministic=deterministic)
        self._note_redefined(workspace, fold_name(name))

    def _add_aggregate(self, workspace: Workspace, name: str, narg: int, aggregate: Callable[[], Any] | None) -> None:
        def begin() -> tuple[Any, Callable[..., None], Callable[[Any], Any]]:
            assert aggregate is not None
            return aggregate(), lambda context, *values: context.step(*values), lambda context: context.finalize()

        workspace.sqlite.create_aggregate_function(name, begin if aggregate is not None else None, narg)
        self._note_redefined(workspace, fold_name(name))

    def _set_like(self, workspace: Workspace) -> None:
        workspace.sqlite.execute(f"PRAGMA case_sensitive_like = {int(self.case_sensitive_like)}")
        self._note_redefined(workspace, "like")

    def _note_redefined(self, workspace: Workspace, name: str) -> None:
        """Note that a function's name, in lower case, means another function than the built-in one."""
        workspace.redefined |= {name} & self._known
