"""Check the consistency of a database: rows, keys, index entries, foreign keys, counters and the log.

    row          each row decodes
    key          each row has the key that its values make; the order of the keys has each row once
    index        each row has its index entries, and each entry has its row
    unique       no two rows have the same key in a unique index
    foreign key  each foreign key has its parent
    counter      the counter of a table is beyond its ids
    log          the commits of the log are complete, and the oldest version that it reaches can be read

`find_faults` finds faults of one version, `repair_entries` mends those of index entries: they follow from the rows.
"""

from __future__ import annotations

from rome.database.registry import open_database, release_database
from rome.testing.check.faults import Fault
from rome.testing.check.find import find_faults
from rome.testing.check.repair import repair_entries
from rome.url import parse_url

__all__ = ["Fault", "check_database", "find_faults", "repair_entries"]


def check_database(url: str) -> list[str]:
    """Check the newest version of a database. Return a list of faults, one sentence each.

    Foreign keys are left out: connections need not enforce them. Raise FormatError if the state of the database or its
    schema is missing.
    """
    database = open_database(parse_url(url))
    try:
        seen = database.store.fetch([])
        catalog = database.catalog(seen)
        return [str(fault) for fault in find_faults(database.store, catalog, seen.version, foreign_keys=False)]
    finally:
        release_database(database)
