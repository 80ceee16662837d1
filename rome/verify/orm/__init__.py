"""A differential fuzzer of SQLAlchemy's ORM: the same sessions on ROME and on SQLite.

    python -m rome.verify.orm                               one minute, in memory
    python -m rome.verify.orm rome+redis://localhost/ --seconds 600
    python -m rome.verify.orm --seed 17 --cases 1           one case again

A case is a sequence of operations on a session: objects are added, changed, moved, merged and deleted, rows are changed
in bulk, relationships are loaded by every strategy, savepoints are rolled back. Each operation answers alike on both
databases, or fails with an exception of the same class. After each commit, a new session reads every row.
"""
