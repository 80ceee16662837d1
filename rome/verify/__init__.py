"""Verify ROME's guarantees on a store: isolation, histories of concurrent transactions, increments, faults.

    python -m rome.verify.isolation URL     play the scenarios of known anomalies at each isolation level
    python -m rome.verify.histories URL     record and check random transactions of many clients, also under faults
    python -m rome.verify.failover          let the primary of three servers fail while clients commit
    python -m rome.verify.sql               compare random SQL scripts with SQLite
    python -m rome.verify.orm               compare random sessions of SQLAlchemy's ORM with SQLite
    python -m rome.verify.increments URL    increment one row in many processes

The commands need the extra `verify`. Nothing else in ROME imports this package.
"""
