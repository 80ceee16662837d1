"""Estimates by the values of an execution: a path whose frequent keys are known leads to more rows for one of them.

    SELECT * FROM images WHERE visibility = ? AND owner = ?

    visibility = 'public'    200 rows, the average of the keys that are not frequent: by the index of visibility
    visibility = 'shared'    9,800 rows, a frequent key: by the index of owner

A plan that was chosen by such numbers is right for executions whose parameters have keys of the same *classes*: orders
of magnitude of their numbers of rows. `rome.plan.plan.PlanCache` keeps one plan for each combination of classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log

from rome.catalog.model import Table
from rome.sql.planner.access_path import KeyPath, Path, UnionPath
from rome.sql.planner.bind import key_ranges
from rome.sql.planner.read_plan import ReadPlan
from rome.sql.planner.statistics import Basis, Statistics
from rome.sql.syntax.operands import Parameters
from rome.storage.store import KeyRange

_CHEAP = 64.0
"""A plan for so few rows need not be chosen again for other values."""
_CLASS = log(4)


def _frequent_rows(
    table: Table, path: KeyPath, parameters: Parameters, frequent: Mapping[KeyRange, float]
) -> list[float]:
    """Return the number of rows of each key that the parameters give a path and that is frequent."""
    return [frequent[each] for each in key_ranges(table, path, parameters) or () if each in frequent]


def extra_rows(table: Table, path: Path, parameters: Parameters, statistics: Statistics, per_key: float) -> float:
    """Return how many rows more than `per_key` for each key the frequent ones among a path's keys lead to."""
    more = 0.0
    for each in _key_paths(path):
        frequent = {} if each.depends_on or each.is_unique else statistics.frequent(table, each)
        if frequent:
            more += sum(max(rows - per_key, 0.0) for rows in _frequent_rows(table, each, parameters, frequent))
    return more


def note_classes(plan: ReadPlan, parameters: Parameters) -> None:
    """Note in the basis of a plan which values it depends on: none if it is cheap and no path of it is skewed."""
    basis, skewed = plan.basis, plan.basis.asked_skewed()
    chosen = {path for step in plan.steps for path in _key_paths(step.path)}
    if sum(step.rows for step in plan.steps) > _CHEAP or any(path in chosen for _, path in skewed):
        basis.skewed = skewed
        basis.classes = classes(basis, parameters)


def _key_paths(path: Path) -> tuple[KeyPath, ...]:
    if isinstance(path, UnionPath):
        return path.paths
    return (path,) if isinstance(path, KeyPath) else ()


def classes(basis: Basis, parameters: Parameters) -> tuple[int, ...]:
    """Return the class of each path that a plan's choice depends on, with these parameters."""
    found = []
    for table, path in basis.skewed:
        rows = sum(_frequent_rows(table, path, parameters, basis.source.frequent(table, path)))
        found.append(int(log(rows) / _CLASS) if rows else 0)
    return tuple(found)
