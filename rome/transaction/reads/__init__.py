"""The reads of a transaction: the row cache, answered lookups, and the read set that commit checks."""
