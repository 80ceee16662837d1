"""Check a schema object that was decoded: its fields have their types, and the names in it lead to each other."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from rome.catalog.model import Column, ForeignKey, Index, SchemaObject, Table
from rome.folding import fold_name

_HINTS = {kind: get_type_hints(kind) for kind in (Table, Column, Index, ForeignKey, SchemaObject)}


def check_object(item: Table | SchemaObject) -> None:
    """Raise ValueError that says what is wrong with an object."""
    _check_fields(item)
    if isinstance(item, Table):
        _check_names(item)


def _check_names(table: Table) -> None:
    columns = table.by_name.keys()
    cids = {column.cid for column in table.stored}
    named = {name for index in table.indexes for name in index.columns if name is not None}
    named.update(table.key, *(key.columns for key in table.foreign_keys))
    missing = {fold_name(name) for name in named} - columns
    if missing:
        raise ValueError(f"there is no column {min(missing)!r}")
    if set(table.schemas.get(table.schema, ())) != cids or len(columns) != len(table.columns):
        raise ValueError(f"its schema {table.schema} does not have its columns")
    for index in table.indexes:
        if len(index.collations) != len(index.columns) or (index.computed and len(index.terms) != len(index.columns)):
            raise ValueError(f"index {index.name!r} does not have a collation and a term for each column")


def _check_fields(item: Any) -> None:
    hints = _HINTS[type(item)]
    for field in fields(item):
        if not _fits(getattr(item, field.name), hints[field.name]):
            raise ValueError(f"{field.name!r} of {type(item).__name__} is {getattr(item, field.name)!r}")


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(each, inner[0]) for each in value)
    if origin is Mapping:
        return all(_fits(key, inner[0]) and _fits(each, inner[1]) for key, each in value.items())
    if is_dataclass(hint):
        _check_fields(value)
    return type(value) is hint
