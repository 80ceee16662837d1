"""The views of a copied database, and the names of what has no counterpart."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, Table, inspect
from sqlalchemy.exc import SQLAlchemyError

from rome.cli.copy.schema import Conversion, first_line
from rome.cli.copy.translate import Untranslatable

_HERE = "= current_schema()::regnamespace"
_NOT_COPIED = {
    "postgresql": {
        "triggers": "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
        f"WHERE NOT t.tgisinternal AND c.relnamespace {_HERE}",
        "exclusion constraints": "SELECT c.relname, x.conname FROM pg_constraint x "
        f"JOIN pg_class c ON c.oid = x.conrelid WHERE x.contype = 'x' AND c.relnamespace {_HERE}",
        "row security policies": "SELECT tablename, policyname FROM pg_policies WHERE schemaname = current_schema()",
        "functions and procedures": f"SELECT NULL, p.proname FROM pg_proc p WHERE p.pronamespace {_HERE} AND NOT "
        "EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')",
        "sequences": f"SELECT NULL, c.relname FROM pg_class c WHERE c.relkind = 'S' AND c.relnamespace {_HERE} AND NOT "
        "EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i'))",
        "materialized views": "SELECT NULL, matviewname FROM pg_matviews WHERE schemaname = current_schema()",
    },
    "mysql": {
        "triggers": "SELECT event_object_table, trigger_name FROM information_schema.triggers "
        "WHERE trigger_schema = database()",
        "functions and procedures": "SELECT NULL, routine_name FROM information_schema.routines "
        "WHERE routine_schema = database()",
        "events": "SELECT NULL, event_name FROM information_schema.events WHERE event_schema = database()",
        "sequences": "SELECT NULL, table_name FROM information_schema.tables "
        "WHERE table_schema = database() AND table_type = 'SEQUENCE'",
    },
    "sqlite": {"triggers": "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'"},
}
_NOT_COPIED |= {"mariadb": _NOT_COPIED["mysql"], "rome": _NOT_COPIED["sqlite"]}


def note_what_is_left(source: Connection, tables: Collection[str], is_whole: bool, conversion: Conversion) -> None:
    """Note by name what is not copied. `is_whole`: the whole database is copied, not only some tables."""
    for kind, query in _NOT_COPIED.get(conversion.source, {}).items():
        rows = source.exec_driver_sql(query).all()
        names = sorted(name for table, name in rows if (is_whole if table is None else table in tables))
        if names:
            conversion.note(f"{kind} are not copied: {', '.join(names)}")
    if conversion.commented:
        conversion.note(f"comments are not copied: {', '.join(conversion.commented)}")


def translated_views(
    source: Connection, tables: Sequence[Table], is_whole: bool, conversion: Conversion
) -> dict[str, str]:
    """Return the SELECT of each view in the SQL of the target. Note the others."""
    inspector = inspect(source)
    names = inspector.get_view_names()
    if names and not is_whole:
        conversion.note(f"views are not copied with --tables: {', '.join(names)}")
        return {}
    found = {}
    for name in names:
        try:
            found[name] = conversion.translate(inspector.get_view_definition(name), *tables)
        except Untranslatable as error:
            conversion.note(f"the view {name} is not copied, because of {error}")
    return found


def create_views(target: Connection, views: dict[str, str], notes: list[str]) -> None:
    """Create the views that the target lacks, those that others use first. Note what it refuses."""
    present = set(inspect(target).get_view_names())
    left = {name: sql for name, sql in views.items() if name not in present}
    reasons: dict[str, str] = {}
    while left:
        done = [name for name, sql in left.items() if _create(target, name, sql, reasons)]
        if not done:
            notes.extend(f"the view {name} is not copied, because of {reasons[name]}" for name in left)
            return
        left = {name: sql for name, sql in left.items() if name not in done}


def _create(target: Connection, name: str, sql: str, reasons: dict[str, str]) -> bool:
    quoted = target.dialect.identifier_preparer.quote(name)
    target.commit()
    try:
        target.exec_driver_sql(f"CREATE VIEW {quoted} AS {sql}")
        target.exec_driver_sql(f"SELECT * FROM {quoted} LIMIT 0")
        target.commit()
    except SQLAlchemyError as error:
        target.rollback()
        target.exec_driver_sql(f"DROP VIEW IF EXISTS {quoted}")
        reasons[name] = first_line(error)
        return False
    return True
