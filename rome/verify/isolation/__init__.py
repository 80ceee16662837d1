"""Which anomalies does a store prevent at which isolation level? Tried, not claimed.

    python -m rome.verify.isolation rome+redis://localhost:6379/trial

plays the scenarios of the Hermitage catalogue (`anomalies`) through the DB-API on an empty table of its own, at each
level, and prints a table of what is prevented. `PROMISED` says what is expected; the command fails where the table
differs from it.

Each scenario is a handful of statements of two or three transactions in a fixed order. ROME's transactions never
wait for each other, so one thread can play them all: a transaction that must not go on is refused with Conflict at
its commit. A refused transaction takes no part in the rest of the scenario, and its reads do not count: whoever reads
must commit to rely on what was read. (A read-only transaction's commit is never refused.)
"""

from __future__ import annotations

from rome.verify.isolation.anomalies import ANOMALIES, Anomaly
from rome.verify.isolation.trial import LEVELS, PROMISED, Outcome, differences, try_all

__all__ = ["ANOMALIES", "LEVELS", "PROMISED", "Anomaly", "Outcome", "differences", "try_all"]
