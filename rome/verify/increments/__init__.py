"""The hardest case for optimistic transactions: many processes write the same row.

    python -m rome.verify.increments rome+redis://localhost:6379/verify --processes 32

Each process increments the same row several times, with SQLAlchemy's ORM and `rome.orm.run_transaction`. Every
increment must be in the final value, and no conflict may reach the application.
"""

from __future__ import annotations

from rome.verify.increments.counter import IncrementCounts, run_increments

__all__ = ["IncrementCounts", "run_increments"]
