"""Running statements in a transaction: one module for each kind of statement."""
