"""Merge two schema changes: may one be committed although the other one was, since its transaction began?

    one                                 the other                             merged?
    CREATE TABLE a                      CREATE TABLE b                        yes
    CREATE TABLE a (… REFERENCES p)     CREATE TABLE b (… REFERENCES p)       yes: neither changes p
    ALTER TABLE t RENAME n TO m         CREATE VIEW v AS SELECT n FROM t      no: the view mentions t
    CREATE INDEX i ON t                 CREATE INDEX i ON u                   no: both make i

They are independent if neither changes a definition that the other one's changes mention: then both serial orders lead
to the same schema. A table mentions the parents of its foreign keys, an index its table, a trigger its table and every
name in its text, a view every name in its text; what a view mentions, those who mention the view mention, too.

This is about definitions. Whether the rows that a schema change has looked at are unchanged is checked apart.
"""

from __future__ import annotations

from collections.abc import Iterable

from rome.catalog.model import Catalog, SchemaObject, Table
from rome.folding import fold_name
from rome.sql.syntax.tokens import names


def are_independent(base: Catalog, one: Catalog, other: Catalog) -> bool:
    """Return True if the changes from `base` to `one` and those from `base` to `other` can both be made."""
    changed, changed_by_other = _changed_names(base, one), _changed_names(base, other)
    if base.user_version not in (one.user_version, other.user_version):
        return False
    return changed.isdisjoint(_mentioned(changed_by_other, (base, other))) and changed_by_other.isdisjoint(
        _mentioned(changed, (base, one))
    )


def _changed_names(before: Catalog, after: Catalog) -> set[str]:
    """Return the names, in lower case, of what was created, changed or dropped."""
    old, new = _items(before), _items(after)
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def _items(catalog: Catalog) -> dict[str, Table | SchemaObject]:
    return {**catalog.tables, **catalog.objects}


def _mentioned(changed: Iterable[str], catalogs: tuple[Catalog, ...]) -> set[str]:
    """Return the changed names, and those that their definitions mention, in any of the catalogs."""
    found, parents = set[str](), set[str]()
    pending = list(changed)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        for catalog in catalogs:
            item = catalog.tables.get(name) or catalog.objects.get(name)
            if isinstance(item, Table):
                parents.update([fold_name(key.parent) for key in item.foreign_keys])
            elif item is not None:
                pending.append(fold_name(item.table))
                pending += names(item.sql or "") if item.type != "index" else ()
    return found | parents
