"""Random transactions of many concurrent clients: recorded by the clients, and checked afterwards.

    python -m rome.verify.histories rome+redis://localhost:6379/verify --transactions 50000 --processes 8 --faults 100

The scenarios of `rome.verify.isolation` cover the anomalies that somebody thought of. A history covers the others: each
client records its operations and results, and the checker searches for an order of the transactions that explains all
results. In reading order:

    history              the data: transactions, appends, reads
    checker              version orders, anomalies of single reads and transactions, what each level forbids
    graph, cycles        dependencies between transactions; cycles of them, classified
    workload             what a workload is, and what its clients record
    append, bank, names  the workloads
    worker, pool         clients: processes, or threads if the store is in memory
    defects              stores with a defect, which the checker must find
    run                  a run from empty tables to the findings

`rome.verify.faults` injects faults meanwhile. The method is that of Elle (Kingsbury and Alvaro, 2020); the code is
ROME's own.
"""

from __future__ import annotations

from rome.verify.histories.checker import FORBIDDEN, anomalies, check
from rome.verify.histories.history import Append, Finding, History, Outcome, Read, Transaction

__all__ = ["FORBIDDEN", "Append", "Finding", "History", "Outcome", "Read", "Transaction", "anomalies", "check"]
