"""The hardest case for transactions that do not wait: many processes, one row.

    python -m rome.verify.increments rome+redis://localhost:6379/trial --processes 32

Each process adds 1 to the same row, again and again, with SQLAlchemy's ORM and `rome.orm.run_transaction`. Every
increment must be counted, and no conflict surface.
"""

from __future__ import annotations

from rome.verify.increments.tally import Count, count

__all__ = ["Count", "count"]
