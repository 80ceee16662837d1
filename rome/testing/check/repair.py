"""Mend index entries, which follow from the rows."""

from __future__ import annotations

import os
from collections.abc import Iterable

from rome.storage.store import Batch, Check, Store
from rome.testing.check.faults import Fault
from rome.testing.check.pieces import pieces

_AT_ONCE = 500


def repair_entries(store: Store, faults: Iterable[Fault], version: int) -> int:
    """Write the missing entries and delete those without a row. Return their number.

    `version`: that of the faults. Raise Conflict if one of the rows was written since; some are repaired then.
    """
    number = 0
    for some in pieces((fault for fault in faults if fault.repair is not None), _AT_ONCE):
        checks = [Check(fault.rows, fault.row_key, fault.row_key + b"\0", version) for fault in some]
        writes = [fault.repair for fault in some if fault.repair is not None]
        store.commit(Batch(os.urandom(16), checks, writes))
        number += len(writes)
    return number
