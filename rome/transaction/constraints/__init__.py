"""Constraints: the keys that a change needs for UNIQUE and FOREIGN KEY, and the errors of violations."""
