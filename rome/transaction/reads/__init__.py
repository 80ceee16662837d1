"""What a transaction has read: the row cache, answered lookups, and the read set that commit checks."""
