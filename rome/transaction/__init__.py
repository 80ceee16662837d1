"""Transactions: read version, what was read and changed, constraint reads, and the commit."""
