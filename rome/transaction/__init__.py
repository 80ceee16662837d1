"""Transactions: snapshot, row cache and read set, write set and sequences, constraint reads, row locks, commit."""
