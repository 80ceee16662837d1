"""Random transactions by many processes at once, recorded by their clients, and checked afterwards.

    python -m rome.verify.histories rome+redis://localhost:6379/trial --transactions 50000 --processes 8 --faults

The anomalies of `rome.verify.isolation` are scenarios somebody thought of. A history is what nobody thought of: what
each client did and was answered is written down, and then asked: is there any order of these transactions in which
all this could have been seen? Reading along:

    history              what was done and seen
    versions             the order of each key's values, from the longest read
    reads                aborted, intermediate, own and lost: faults that need no order
    graph, cycles        which transaction must come before which; circles in that, told apart
    checker              all of it, against what a level promises
    records              what clients write down while they work
    append, bank, names  the workloads
    crew, worker         who runs them: processes, or threads where the store lives in the process
    planted              stores with a fault, which must be found
    trial                one run from empty tables to a judgement

Faults meanwhile are the business of `rome.verify.faults`.

The method is that of Elle (Kingsbury and Alvaro, 2020); the code is ROME's own.
"""

from __future__ import annotations

from rome.verify.histories.checker import FORBIDDEN, anomalies, check
from rome.verify.histories.history import Append, Finding, History, Outcome, Read, Transaction

__all__ = ["FORBIDDEN", "Append", "Finding", "History", "Outcome", "Read", "Transaction", "anomalies", "check"]
