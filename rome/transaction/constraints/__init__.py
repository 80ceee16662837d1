"""Constraints by keys: which keys a change needs, takes and orphans; which constraint was violated."""
