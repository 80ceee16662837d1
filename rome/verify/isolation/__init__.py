"""Test which anomalies a store prevents at which isolation level.

    python -m rome.verify.isolation rome+redis://localhost:6379/verify

runs the scenarios of the Hermitage test suite (`anomalies`) through the DB-API on an empty table of its own, at each
level, and prints a table of the outcomes. `GUARANTEED` has the expected outcomes; the command fails if an anomaly
happens that the level guarantees to prevent.

A scenario is a schedule: a few statements of two or three transactions in a fixed order. ROME's transactions never wait
for each other, so one thread can run them all. A transaction that must not go on gets Conflict at its commit. It then
takes no further part in the schedule, and its reads do not count: a transaction may rely on what it read only if it
commits. (The commit of a read-only transaction always succeeds.)
"""

from __future__ import annotations

from rome.verify.isolation.anomalies import ANOMALIES, Anomaly
from rome.verify.isolation.outcomes import GUARANTEED, LEVELS, Outcome, run_all, violations

__all__ = ["ANOMALIES", "GUARANTEED", "LEVELS", "Anomaly", "Outcome", "run_all", "violations"]
