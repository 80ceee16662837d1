"""The triggers that keep the two forms of a mirror equal.

A write to one form starts a trigger that writes the other form, whose own trigger then has nothing to do: each writes
only if the forms differ. So values stay as they were written, also if the conversion back would write them differently
("04x8" and "4x8" are the same size).

An UPDATE of new columns in a row that is not migrated migrates it first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rome_objects.schema.mirrors import Columns, Mirror, Move

Quote = Callable[[str], str]
"""A name as an identifier of SQL."""


def create(mirror: Mirror, key: Sequence[str], quote: Quote) -> list[str]:
    """Return the CREATE TRIGGER statements of a mirror. `key` is the primary key of its old form."""
    build = _of_columns if isinstance(mirror, Columns) else _of_move
    return [
        f"CREATE TRIGGER {name} AFTER {event} BEGIN {body} END"
        for name, (event, body) in zip(names(mirror, quote), build(mirror, key, quote), strict=True)  # type: ignore[arg-type]
    ]


def names(mirror: Mirror, quote: Quote) -> list[str]:
    """Return the names of a mirror's triggers."""
    kinds = ("old_insert", "new_insert", "old_update", "new_update")
    if isinstance(mirror, Move):
        kinds += ("old_delete", "new_delete")  # type: ignore[assignment]
    return [quote(f"rome_mirror {mirror.name} {kind}") for kind in kinds]


def _of_columns(mirror: Columns, key: Sequence[str], quote: Quote) -> Iterable[tuple[str, str]]:
    """Yield the event and the body of each trigger."""
    table = quote(mirror.table)
    here = _same(key, key, "NEW", quote)

    def update(values: Mapping[str, str], condition: str) -> str:
        assignments = ", ".join(f"{quote(name)} = {value}" for name, value in values.items())
        return f"UPDATE {table} SET {assignments} WHERE {here} AND {condition};"

    def null(columns: Iterable[str], row: str) -> str:
        return " AND ".join(f"{row}.{quote(name)} IS NULL" for name in columns)

    def differ(values: Mapping[str, str]) -> str:
        return "NOT (" + " AND ".join(f"{quote(name)} IS ({value})" for name, value in values.items()) + ")"

    missing = {name: f"coalesce({quote(name)}, {value})" for name, value in mirror.new.items()}
    yield f"INSERT ON {table} WHEN {null(mirror.new, 'NEW')}", update(mirror.new, differ(mirror.new))
    yield f"INSERT ON {table} WHEN {null(mirror.old, 'NEW')}", update(mirror.old, differ(mirror.old))
    yield f"UPDATE OF {_list(mirror.old, quote)} ON {table}", update(mirror.new, differ(mirror.old))
    yield (
        f"UPDATE OF {_list(mirror.new, quote)} ON {table}",
        f"{update(missing, null(mirror.new, 'OLD'))} {update(mirror.old, differ(mirror.new))}",
    )


def _of_move(mirror: Move, key: Sequence[str], quote: Quote) -> Iterable[tuple[str, str]]:
    """Yield the event and the body of each trigger."""
    forth = mirror.columns
    back = {new: old for old, new in forth.items()}
    directions = (
        (mirror.old, mirror.new, forth, key),
        (mirror.new, mirror.old, back, [forth[name] for name in key]),
    )
    for source, target, columns, own in directions:
        written = _same([columns[name] for name in own], own, "NEW", quote)
        equal = " AND ".join(f"{quote(there)} IS NEW.{quote(here)}" for here, there in columns.items())
        values = ", ".join(f"NEW.{quote(name)}" for name in columns)
        # A row with this key and other values is an error: the insert then violates the primary key.
        missing = f"NOT EXISTS (SELECT 1 FROM {quote(target)} WHERE {written} AND {equal})"
        insert = f"INSERT INTO {quote(target)} ({_list(columns.values(), quote)}) SELECT {values} WHERE {missing};"
        yield f"INSERT ON {quote(source)}", insert
    for source, target, columns, own in directions:
        before = _same([columns[name] for name in own], own, "OLD", quote)
        differ = " OR ".join(f"{quote(there)} IS NOT NEW.{quote(here)}" for here, there in columns.items())
        assignments = ", ".join(f"{quote(there)} = NEW.{quote(here)}" for here, there in columns.items())
        yield (
            f"UPDATE OF {_list(columns, quote)} ON {quote(source)}",
            f"UPDATE {quote(target)} SET {assignments} WHERE {before} AND ({differ});",
        )
    for source, target, columns, own in directions:
        before = _same([columns[name] for name in own], own, "OLD", quote)
        yield f"DELETE ON {quote(source)}", f"DELETE FROM {quote(target)} WHERE {before};"


def _same(columns: Sequence[str], own: Sequence[str], row: str, quote: Quote) -> str:
    """Return the condition that columns have the values of `own` columns of the row NEW or OLD."""
    return " AND ".join(f"{quote(name)} = {row}.{quote(source)}" for name, source in zip(columns, own, strict=True))


def _list(columns: Iterable[str], quote: Quote) -> str:
    return ", ".join(map(quote, columns))
