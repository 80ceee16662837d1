"""Evaluating statements: plans, and the SQLite workspace that runs them over fetched rows."""
