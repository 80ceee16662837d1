"""Run statements in a transaction: transaction control, one module for each kind of statement, fetch, replay."""
