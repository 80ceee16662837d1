"""The primary keys of mirrored tables, by which rows of both forms are found."""

from __future__ import annotations

import sqlalchemy as sa

from rome_objects.errors import SchemaError
from rome_objects.schema.mirrors import Mirror, Move


def source_key(connection: sa.Connection, mirror: Mirror) -> list[str]:
    """Return the primary key of the old form. Raise SchemaError if the two forms have no key in common."""
    inspector = sa.inspect(connection)
    key = inspector.get_pk_constraint(mirror.source)["constrained_columns"]
    if not key:
        raise SchemaError(reason=f"table {mirror.source} has no primary key: give it one before you mirror it")
    if isinstance(mirror, Move):
        there = inspector.get_pk_constraint(mirror.new)["constrained_columns"]
        if [mirror.columns.get(name) for name in key] != there:
            raise SchemaError(
                reason=f"mirror {mirror.name}: the primary key of {mirror.new} must be that of {mirror.old}, with the "
                "same columns in the same order"
            )
    return list(key)
